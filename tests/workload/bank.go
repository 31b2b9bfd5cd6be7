package workload

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/tidemark-db/tidemark/tests/check"
)

const (
	bankAccounts = 8
	bankBalance  = 100 // of each in the beginning
)

// Bank moves money between accounts. All accounts together have the same at any
// time, to whoever looks.
type Bank struct {
	moved, read, conflicts, unknown atomic.Int64
}

const bankSum = bankAccounts * bankBalance

// Setup implements Workload.
func (w *Bank) Setup(ctx context.Context, c *Client) error {
	_, err := must(ctx, c, fmt.Sprintf("CREATE TABLE accounts (id int PRIMARY KEY, bal bigint NOT NULL); INSERT INTO accounts SELECT g, %d FROM generate_series(1, %d) g", bankBalance, bankAccounts))
	return err
}

// Done implements Workload.
func (w *Bank) Done() bool { return false }

// Step implements Workload.
func (w *Bank) Step(ctx context.Context, c *Client) error {
	from := 1 + c.Rand.IntN(bankAccounts)
	to := 1 + (from+c.Rand.IntN(bankAccounts-1))%bankAccounts
	amount := 1 + c.Rand.IntN(20)
	var a Answer
	switch c.Rand.IntN(5) {
	case 0:
		return w.look(ctx, c)
	case 1:
		return w.lookTwice(ctx, c)
	case 2:
		a = c.Run(ctx, fmt.Sprintf("UPDATE accounts SET bal = bal - %d WHERE id = %d; UPDATE accounts SET bal = bal + %d WHERE id = %d", amount, from, amount, to))
	case 3:
		a = c.Pipeline(ctx, []Statement{
			{"UPDATE accounts SET bal = bal - $1::int WHERE id = $2", []string{strconv.Itoa(amount), strconv.Itoa(from)}},
			{"UPDATE accounts SET bal = bal + $1::int WHERE id = $2", []string{strconv.Itoa(amount), strconv.Itoa(to)}},
		})
	default:
		a = c.Block(ctx, "BEGIN", func(q Query) error { return move(q, from, to, amount) })
	}
	switch {
	case a.Err == nil:
		w.moved.Add(1)
	case a.Outcome == check.Unknown:
		w.unknown.Add(1)
	case a.Code == Conflict:
		w.conflicts.Add(1)
	}
	return unexpected(a, Conflict)
}

// move is how a program with an object mapper does it: it reads both accounts
// and writes what it has worked out.
func move(q Query, from, to, amount int) error {
	for _, x := range [][2]int{{from, -amount}, {to, amount}} {
		shown, err := q(fmt.Sprintf("SELECT bal FROM accounts WHERE id = %d", x[0]))
		if err != nil {
			return err
		}
		if len(shown.Rows) != 1 {
			return fmt.Errorf("account %d has %d rows", x[0], len(shown.Rows))
		}
		bal, err := strconv.Atoi(shown.Rows[0][0])
		if err != nil {
			return fmt.Errorf("a balance is no number: %w", err)
		}
		if _, err := q("UPDATE accounts SET bal = $1 WHERE id = $2", strconv.Itoa(bal+x[1]), strconv.Itoa(x[0])); err != nil {
			return err
		}
	}
	return nil
}

// look reads the sum with one statement.
func (w *Bank) look(ctx context.Context, c *Client) error {
	a := c.Run(ctx, "SELECT sum(bal), count(*) FROM accounts")
	if a.Err != nil {
		return unexpected(a)
	}
	w.read.Add(1)
	return w.sum(a.Rows[0][0])
}

// lookTwice reads account by account and then the sum, in one transaction.
func (w *Bank) lookTwice(ctx context.Context, c *Client) error {
	sum, all := 0, ""
	a := c.Block(ctx, []string{"BEGIN", "BEGIN READ ONLY", "BEGIN ISOLATION LEVEL REPEATABLE READ"}[c.Rand.IntN(3)], func(q Query) error {
		for id := range bankAccounts {
			shown, err := q(fmt.Sprintf("SELECT bal FROM accounts WHERE id = %d", id+1))
			if err != nil {
				return err
			}
			bal, err := strconv.Atoi(shown.Rows[0][0])
			if err != nil {
				return fmt.Errorf("a balance is no number: %w", err)
			}
			sum += bal
		}
		shown, err := q("SELECT sum(bal) FROM accounts")
		if err == nil {
			all = shown.Rows[0][0]
		}
		return err
	})
	if a.Err != nil {
		return unexpected(a)
	}
	w.read.Add(1)
	if strconv.Itoa(sum) != all {
		return fmt.Errorf("the accounts one by one have %d, all at once %s in the same transaction", sum, all)
	}
	return w.sum(all)
}

func (w *Bank) sum(text string) error {
	if text != strconv.Itoa(bankSum) {
		return fmt.Errorf("all accounts together have %s, not %d", text, bankSum)
	}
	return nil
}

// Check implements Workload.
func (w *Bank) Check(ctx context.Context, c *Client) error {
	rows, err := must(ctx, c, "SELECT sum(bal) FROM accounts")
	if err != nil {
		return err
	}
	return w.sum(rows[0][0])
}

// String implements Workload.
func (w *Bank) String() string {
	return fmt.Sprintf("bank: %d transfers, %d readings, %d conflicts, %d unknown", w.moved.Load(), w.read.Load(), w.conflicts.Load(), w.unknown.Load())
}

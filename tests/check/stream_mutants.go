package check

import (
	"math/rand/v2"
	"slices"
)

// StreamMutation makes a recorded stream bad in one known way.
type StreamMutation struct {
	Name string
	// Do returns the bad stream, and false when this one offers no place for it. It
	// leaves the stream it is given as it is.
	Do func(rnd *rand.Rand, s []Delivery) ([]Delivery, bool)
}

// StreamMutations are what a judge of streams has to notice, each wherever it is
// done.
var StreamMutations = []StreamMutation{
	{"a transaction is missing", dropTransaction},
	{"two transactions are swapped", swapTransactions},
	{"a transaction comes twice without a resume", repeatTransaction},
	{"a transaction has lost its end", cutTransaction},
	{"a change is missing", dropChange},
	{"two changes are swapped", swapChanges},
	{"a change comes twice", repeatChange},
	{"a value is another one", changeValue},
	{"a transaction is torn in two", tearTransaction},
	{"a transaction that was rolled back", inventTransaction},
	{"the last transaction is missing", dropLast},
}

// pick chooses a delivery that fits.
func pick(rnd *rand.Rand, s []Delivery, fits func(i int) bool) (int, bool) {
	var all []int
	for i := range s {
		if fits(i) {
			all = append(all, i)
		}
	}
	if len(all) == 0 {
		return 0, false
	}
	return all[rnd.IntN(len(all))], true
}

// inside reports whether a delivery and the ones on both sides of it are whole and
// of one connection, and it is the only delivery of its transaction: what comes
// again later would make good for what is done to it here.
func inside(s []Delivery) func(i int) bool {
	times := map[uint64]int{}
	for i := range s {
		times[uint64(s[i].Commit)]++
	}
	return func(i int) bool {
		if i == 0 || i+1 >= len(s) || times[uint64(s[i].Commit)] > 1 || len(s[i].Changes) == 0 {
			return false
		}
		before, after := &s[i-1], &s[i+1]
		return before.Whole && s[i].Whole && after.Whole && before.Connection == after.Connection
	}
}

func withMany(s []Delivery) func(i int) bool {
	fits := inside(s)
	return func(i int) bool { return fits(i) && len(s[i].Changes) > 1 }
}

func dropTransaction(rnd *rand.Rand, s []Delivery) ([]Delivery, bool) {
	i, ok := pick(rnd, s, inside(s))
	if !ok {
		return nil, false
	}
	return slices.Delete(slices.Clone(s), i, i+1), true
}

func swapTransactions(rnd *rand.Rand, s []Delivery) ([]Delivery, bool) {
	i, ok := pick(rnd, s, inside(s))
	if !ok {
		return nil, false
	}
	out := slices.Clone(s)
	out[i], out[i+1] = out[i+1], out[i]
	return out, true
}

func repeatTransaction(rnd *rand.Rand, s []Delivery) ([]Delivery, bool) {
	i, ok := pick(rnd, s, inside(s))
	if !ok {
		return nil, false
	}
	return slices.Insert(slices.Clone(s), i, s[i]), true
}

// alter gives one delivery other changes.
func alter(rnd *rand.Rand, s []Delivery, fits func(i int) bool, f func(changes []Sum) []Sum) ([]Delivery, bool) {
	i, ok := pick(rnd, s, fits)
	if !ok {
		return nil, false
	}
	out := slices.Clone(s)
	out[i].Changes = f(slices.Clone(s[i].Changes))
	return out, true
}

func cutTransaction(rnd *rand.Rand, s []Delivery) ([]Delivery, bool) {
	return alter(rnd, s, withMany(s), func(c []Sum) []Sum { return c[:1+rnd.IntN(len(c)-1)] })
}

func dropChange(rnd *rand.Rand, s []Delivery) ([]Delivery, bool) {
	return alter(rnd, s, withMany(s), func(c []Sum) []Sum {
		i := rnd.IntN(len(c))
		return slices.Delete(c, i, i+1)
	})
}

func swapChanges(rnd *rand.Rand, s []Delivery) ([]Delivery, bool) {
	return alter(rnd, s, withMany(s), func(c []Sum) []Sum {
		i := rnd.IntN(len(c) - 1)
		c[i], c[i+1] = c[i+1], c[i]
		return c
	})
}

func repeatChange(rnd *rand.Rand, s []Delivery) ([]Delivery, bool) {
	return alter(rnd, s, inside(s), func(c []Sum) []Sum {
		i := rnd.IntN(len(c))
		return slices.Insert(c, i, c[i])
	})
}

func changeValue(rnd *rand.Rand, s []Delivery) ([]Delivery, bool) {
	return alter(rnd, s, inside(s), func(c []Sum) []Sum {
		c[rnd.IntN(len(c))] ^= 1 << rnd.IntN(64)
		return c
	})
}

// tearTransaction has the end come without the beginning, on the same connection.
func tearTransaction(rnd *rand.Rand, s []Delivery) ([]Delivery, bool) {
	i, ok := pick(rnd, s, withMany(s))
	if !ok {
		return nil, false
	}
	n := 1 + rnd.IntN(len(s[i].Changes)-1)
	one, two := s[i], s[i]
	one.Changes, one.Whole, two.Changes = s[i].Changes[:n], false, s[i].Changes[n:]
	return slices.Replace(slices.Clone(s), i, i+1, one, two), true
}

func inventTransaction(rnd *rand.Rand, s []Delivery) ([]Delivery, bool) {
	i, ok := pick(rnd, s, inside(s))
	if !ok {
		return nil, false
	}
	other := s[i]
	other.Commit--
	return slices.Insert(slices.Clone(s), i, other), true
}

func dropLast(_ *rand.Rand, s []Delivery) ([]Delivery, bool) {
	last := len(s) - 1
	for i := range s {
		if s[i].Whole && i < last && s[i].Commit == s[last].Commit {
			return nil, false
		}
	}
	if last < 1 || !s[last].Whole {
		return nil, false
	}
	return slices.Clone(s[:last]), true
}

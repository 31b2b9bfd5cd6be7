package parser

import "strings"

// routineBody tells where the body of CREATE PROCEDURE … BEGIN ATOMIC … END is:
// semicolons in it end no statement. It follows psql, which has to cut
// statements without a grammar, too.
type routineBody struct {
	words   int  // how many words of the statement have been seen, as far as it matters
	routine bool // it begins with CREATE [OR REPLACE] FUNCTION or PROCEDURE
	create  bool
	depth   int // of BEGIN and CASE
}

// routineWords is among how many words at the beginning of a statement FUNCTION
// or PROCEDURE is looked for.
const routineWords = 4

// word takes the next word outside of brackets.
func (b *routineBody) word(w string) {
	if b.words < routineWords {
		b.words++
		switch {
		case b.words == 1:
			b.create = strings.EqualFold(w, "create")
		case b.create && (strings.EqualFold(w, "function") || strings.EqualFold(w, "procedure")):
			b.routine = true
		}
	}
	switch {
	case !b.routine:
	case strings.EqualFold(w, "begin"), b.depth > 0 && strings.EqualFold(w, "case"):
		b.depth++
	case b.depth > 0 && strings.EqualFold(w, "end"):
		b.depth--
	}
}

// AtomicBody returns the statements between BEGIN ATOMIC and END of a statement
// that the grammar has accepted, as they were written.
func AtomicBody(sql string) ([]string, error) {
	s := scanner{sql: sql}
	begin := false
	for {
		w, ok := s.next()
		if !ok {
			return nil, nil
		}
		if begin && w.kind == 'i' && w.text == "atomic" {
			break
		}
		begin = w.kind == 'i' && w.text == "begin"
	}
	body := sql[s.pos:]
	pieces, err := split(body)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, p := range pieces {
		out = append(out, strings.TrimSpace(body[p.start:p.end]))
	}
	if n := len(out); n > 0 { // the last one is END
		out = out[:n-1]
	}
	return out, nil
}

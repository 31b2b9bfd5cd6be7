package parser

// plainAlter makes PostgreSQL's form of
//
//	ALTER DATABASE name SET (parameter = value)
//
// by blanks in the place of the brackets, so that positions stay; it returns any
// other statement as it is. Tables and views have brackets there, and people
// expect the same of databases.
func plainAlter(text string) string {
	if !mayBegin(text, 'a') || len(text) > maxAlterBytes {
		return text
	}
	words := wordsOf(text)
	last := len(words) - 1
	if last < 6 || words[0].text != "alter" || words[1].text != "database" || words[2].kind != 'i' ||
		words[3].text != "set" || words[4].kind != '(' || words[last].kind != ')' {
		return text
	}
	b := []byte(text)
	b[words[4].start], b[words[last].start] = ' ', ' '
	return string(b)
}

// maxAlterBytes is longer than any such statement that makes sense.
const maxAlterBytes = 1 << 10

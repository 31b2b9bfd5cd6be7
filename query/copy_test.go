package query

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/query/parser"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// pieces is a CopyReader that cuts its data every so many bytes.
type pieces struct {
	data string
	size int
}

func (p *pieces) Next() ([]byte, error) {
	if p.data == "" {
		return nil, io.EOF
	}
	n := min(p.size, len(p.data))
	b := []byte(p.data[:n])
	p.data = p.data[n:]
	return b, nil
}

// copySpec parses the options of a COPY statement.
func copySpec(t testing.TB, options string) *plan.CopySpec {
	sts, err := parser.Parse("COPY t FROM STDIN " + options)
	require.NoError(t, err)
	cmd, err := plan.Classify(sts[0])
	require.NoError(t, err)
	return &cmd.(*plan.Copy).Spec
}

var copyColumns = []plan.ResultColumn{
	{Name: "a", Type: types.Int4Type, Typmod: types.NoTypmod},
	{Name: "b", Type: types.TextType, Typmod: types.NoTypmod},
	{Name: "c", Type: types.VarcharType, Typmod: types.CharTypmod(3)},
}

// readCopy reads all rows as text, NULL as <nil>.
func readCopy(t testing.TB, options, data string, size int) ([][]string, error) {
	s := &Session{format: types.DefaultFormat()}
	r, err := newCopyReader(s, copySpec(t, options), copyColumns, &pieces{data, size})
	require.NoError(t, err)
	var out [][]string
	for {
		b, err := r.next()
		if b == nil || err != nil {
			return out, err
		}
		row := make([]types.Datum, len(copyColumns))
		require.NoError(t, types.DecodeRow(b, nil, row))
		var text []string
		for i, d := range row {
			if d.IsNull() {
				text = append(text, "<nil>")
				continue
			}
			text = append(text, copyColumns[i].Type.Text(s.format, d))
		}
		out = append(out, text)
	}
}

func TestCopyFormats(t *testing.T) {
	for _, c := range []struct {
		name, options, data string
		want                [][]string
	}{
		{"text", "", "1\tx\ty\n\\N\ta\\tb\\\\\\n\\x41\\101\t\\N\n", [][]string{{"1", "x", "y"}, {"<nil>", "a\tb\\\nAA", "<nil>"}}},
		{"text without a last newline", "", "1\tx\ty", [][]string{{"1", "x", "y"}}},
		{"text with CRLF", "", "1\tx\ty\r\n2\t\tz\r\n", [][]string{{"1", "x", "y"}, {"2", "", "z"}}},
		{"end marker", "", "1\tx\ty\n\\.\nwhatever", [][]string{{"1", "x", "y"}}},
		{"delimiter and null", "(DELIMITER '|', NULL '-')", "1|-|y\n", [][]string{{"1", "<nil>", "y"}}},
		{"csv", "CSV", "1,\"a \"\"b\"\",\nc\",\n2,,\"\"\n", [][]string{{"1", "a \"b\",\nc", "<nil>"}, {"2", "<nil>", ""}}},
		{"csv header", "CSV HEADER", "a,b,c\n1,x,y\n", [][]string{{"1", "x", "y"}}},
		{"csv force", "(FORMAT csv, FORCE_NULL (b), FORCE_NOT_NULL (c))", "1,\"\",\n", [][]string{{"1", "<nil>", ""}}},
		{"csv escape", "(FORMAT csv, QUOTE '''', ESCAPE '\\')", "1,'it\\'s',y\n", [][]string{{"1", "it's", "y"}}},
	} {
		for _, size := range []int{1, 2, 7, 1 << 20} {
			got, err := readCopy(t, c.options, c.data, size)
			require.NoError(t, err, c.name)
			require.Equal(t, c.want, got, "%s in pieces of %d", c.name, size)
		}
	}
}

func TestCopyErrors(t *testing.T) {
	for _, c := range []struct {
		options, data string
		code          sqlstate.Code
		where         string
	}{
		{"", "1\tx\n", sqlstate.BadCopyFileFormat, "line 1"},
		{"", "1\tx\ty\tz\n", sqlstate.BadCopyFileFormat, "line 1"},
		{"", "1\tx\ty\nq\tx\ty\n", sqlstate.InvalidTextRepresentation, `line 2, column a: "q"`},
		{"", "1\tx\tlong\n", sqlstate.StringDataRightTruncation, "column c"},
		{"", "1\t\xff\ty\n", sqlstate.CharacterNotInRepertoire, "line 1"},
		{"", "1\t\x00\ty\n", sqlstate.CharacterNotInRepertoire, "line 1"},
		{"", "1\t\\000\ty\n", sqlstate.CharacterNotInRepertoire, `line 1, column b: "\000"`},
		{"", "1\t\\x80\ty\n", sqlstate.CharacterNotInRepertoire, `line 1, column b: "\x80"`},
		{"CSV", "1,\"x,y\n", sqlstate.BadCopyFileFormat, ""},
		{"(FORMAT csv, HEADER match)", "a,x,c\n1,2,3\n", sqlstate.BadCopyFileFormat, "line 1"},
		{"BINARY", "nonsense is long enough", sqlstate.BadCopyFileFormat, ""},
		{"BINARY", binarySignature, sqlstate.BadCopyFileFormat, ""},
	} {
		_, err := readCopy(t, c.options, c.data, 5)
		require.Equal(t, c.code, sqlstate.CodeOf(err), "%q: %v", c.data, err)
		require.Contains(t, sqlstate.As(err).Where, c.where)
	}
}

func FuzzCopyData(f *testing.F) {
	f.Add("", "1\tx\ty\n")
	f.Add("CSV", "1,\"a\"\"\",y\n")
	f.Add("BINARY", binarySignature+strings.Repeat("\x00", 8)+"\x00\x03\x00\x00\x00\x04\x00\x00\x00\x01\xff\xff\xff\xff\x00\x00\x00\x01x\xff\xff")
	f.Fuzz(func(t *testing.T, format, data string) {
		if format != "CSV" && format != "BINARY" {
			format = ""
		}
		// However the data is cut, the answer is the same.
		whole, err1 := readCopy(t, format, data, 1<<20)
		cut, err2 := readCopy(t, format, data, 3)
		require.Equal(t, err1 == nil, err2 == nil)
		require.Equal(t, whole, cut)
	})
}

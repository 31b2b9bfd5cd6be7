package syscat_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/exec"
	"github.com/tidemark-db/tidemark/query/syscat"
	"github.com/tidemark-db/tidemark/sm/types"
)

type sess struct{}

func (sess) Setting(string) (string, bool)         { return "", false }
func (sess) SetSetting(string, string, bool) error { return nil }
func (sess) Call(name string, a []types.Datum) (types.Datum, bool, error) {
	switch name {
	case "current_schema":
		return types.String("public"), true, nil
	case "current_schemas":
		return types.ArrayDatum(types.NewArray(types.NameType, []types.Datum{types.String("pg_catalog"), types.String("public")})), true, nil
	case "current_database":
		return types.String("postgres"), true, nil
	case "current_user":
		return types.String("postgres"), true, nil
	}
	return types.NullDatum, false, nil
}

func TestZZSQL(t *testing.T) {
	c := fixtureContext(t)
	c.SearchPath = []string{"public"}
	b, _ := os.ReadFile("/tmp/syscat-pg/queries.json")
	var qs []string
	json.Unmarshal(b, &qs)
	type res struct {
		Err  string
		Rows [][]*string
	}
	var out []res
	m, err := exec.NewMeaning([]log.Setting{{Name: "search_path", Value: "public"}}, "postgres")
	if err != nil {
		t.Fatal(err)
	}
	plans := exec.NewPlans()
	for _, sql := range qs {
		r := func() (r res) {
			q, err := plans.Query(sql)
			if err != nil {
				return res{Err: err.Error()}
			}
			ctx := exec.NewContext(m, exec.ContextInputs{Session: sess{}, Catalog: syscat.NewCatalogInfo(c.Catalog, c.SearchPath, "postgres", "postgres")})
			prog, err := plans.Program(exec.Request{Query: q, Catalog: c.Catalog, Meaning: m, Database: "postgres", Ctx: ctx})
			if err != nil {
				return res{Err: "bind: " + err.Error()}
			}
			txn := c.View.Begin()
			defer txn.Close()
			rt := &exec.Runtime{Txn: txn, Expr: ctx, Virtual: c, SearchPath: c.SearchPath}
			_, err = prog.Run(rt, func(row []types.Datum) error {
				var line []*string
				for i, d := range row {
					if d.IsNull() {
						line = append(line, nil)
						continue
					}
					s := prog.Statement.Cols[i].Type.Text(ctx.Format, d)
					line = append(line, &s)
				}
				r.Rows = append(r.Rows, line)
				return nil
			})
			if err != nil {
				r.Err = "run: " + err.Error()
			}
			return r
		}()
		out = append(out, r)
	}
	b, _ = json.Marshal(out)
	os.WriteFile("/tmp/syscat-pg/results.json", b, 0o644)
}

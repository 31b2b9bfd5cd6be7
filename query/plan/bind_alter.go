package plan

import (
	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

var objectKinds = map[ast.ObjectType]ObjectKind{
	ast.OBJECT_TABLE: TableObject, ast.OBJECT_INDEX: IndexObject, ast.OBJECT_SEQUENCE: SequenceObject,
	ast.OBJECT_VIEW: ViewObject, ast.OBJECT_SCHEMA: SchemaObject, ast.OBJECT_COLUMN: ColumnObject,
	ast.OBJECT_TABCONSTRAINT: ConstraintObject,
}

// objectName reads the name of an object in DROP and COMMENT, in the several
// shapes the grammar gives it.
func objectName(n ast.Node) Name {
	var parts []string
	switch n := n.(type) {
	case *ast.NodeList:
		parts = names(n)
	case *ast.String:
		parts = []string{n.SVal}
	case *ast.RangeVar:
		return rangeName(n)
	}
	switch len(parts) {
	case 0:
		return Name{}
	case 1:
		return Name{"", parts[0]}
	}
	return Name{parts[len(parts)-2], parts[len(parts)-1]}
}

func drop(n *ast.DropStmt) (*Statement, error) {
	kind, ok := objectKinds[n.RemoveType]
	if !ok {
		return nil, unsupported("DROP of this kind of object")
	}
	d := &Drop{Kind: kind, IfExists: n.MissingOk, Cascade: n.Behavior == ast.DropCascade}
	for _, o := range items(n.Objects) {
		d.Names = append(d.Names, objectName(o))
	}
	tags := map[ObjectKind]string{TableObject: "DROP TABLE", IndexObject: "DROP INDEX", SequenceObject: "DROP SEQUENCE",
		ViewObject: "DROP VIEW", SchemaObject: "DROP SCHEMA"}
	return &Statement{Tag: tags[kind], DDL: d}, nil
}

func renameStmt(n *ast.RenameStmt) (*Statement, error) {
	kind, ok := objectKinds[n.RenameType]
	if !ok {
		return nil, unsupported("RENAME of this kind of object")
	}
	r := &Rename{Kind: kind, On: kind, Old: n.Subname, New: n.Newname, IfExists: n.MissingOk}
	if on, ok := objectKinds[n.RelationType]; ok && kind == ColumnObject {
		r.On = on
	}
	if n.Relation != nil {
		r.Name = rangeName(n.Relation)
	} else {
		r.Name = objectName(n.Object)
	}
	if kind == SchemaObject && r.Name.Name == "" {
		r.Name.Name = n.Subname
	}
	tags := map[ObjectKind]string{TableObject: "ALTER TABLE", IndexObject: "ALTER INDEX", SequenceObject: "ALTER SEQUENCE",
		ViewObject: "ALTER VIEW", SchemaObject: "ALTER SCHEMA", ColumnObject: "ALTER TABLE", ConstraintObject: "ALTER TABLE"}
	return &Statement{Tag: tags[kind], DDL: r}, nil
}

func comment(n *ast.CommentStmt) (*Statement, error) {
	kind, ok := objectKinds[n.Objtype]
	if n.Objtype == ast.OBJECT_PUBLICATION {
		kind, ok = PublicationObject, true
	}
	if !ok {
		return nil, unsupported("COMMENT ON this kind of object")
	}
	c := &Comment{Kind: kind, Text: n.Comment}
	if kind == ColumnObject || kind == ConstraintObject {
		l, _ := n.Object.(*ast.NodeList)
		parts := names(l)
		if len(parts) < 2 {
			return nil, sqlstate.New(sqlstate.SyntaxError, "column name must be qualified")
		}
		c.Sub = parts[len(parts)-1]
		c.Name = Name{"", parts[len(parts)-2]}
		if len(parts) > 2 {
			c.Name.Schema = parts[len(parts)-3]
		}
	} else {
		c.Name = objectName(n.Object)
	}
	return &Statement{Tag: "COMMENT", DDL: c}, nil
}

func (b *binder) alterTable(n *ast.AlterTableStmt) (*Statement, error) {
	kind, ok := objectKinds[n.Objtype]
	if !ok {
		return nil, unsupported("ALTER of this kind of object")
	}
	a := &AlterTable{Name: rangeName(n.Relation), IfExists: n.MissingOk, Kind: kind}
	for _, it := range items(n.Cmds) {
		cmd := it.(*ast.AlterTableCmd)
		act, err := b.alterAction(cmd)
		if err != nil {
			return nil, err
		}
		if act != nil {
			a.Actions = append(a.Actions, act)
		}
	}
	tags := map[ObjectKind]string{IndexObject: "ALTER INDEX", SequenceObject: "ALTER SEQUENCE", ViewObject: "ALTER VIEW"}
	tag, ok := tags[kind]
	if !ok {
		tag = "ALTER TABLE"
	}
	return &Statement{Tag: tag, DDL: a}, nil
}

func (b *binder) alterAction(c *ast.AlterTableCmd) (AlterAction, error) {
	cascade := c.Behavior == ast.DropCascade
	switch c.Subtype {
	case ast.AT_AddColumn:
		col, cons, err := b.columnSpec(c.Def.(*ast.ColumnDef))
		if err != nil {
			return nil, err
		}
		var parts CreateTable
		for i := range cons {
			parts.add(&cons[i])
		}
		return &AddColumn{Column: col, Indexes: parts.Indexes, Checks: parts.Checks, ForeignKeys: parts.ForeignKeys, IfNotExists: c.MissingOk}, nil
	case ast.AT_DropColumn:
		return &DropColumn{c.Name, c.MissingOk, cascade}, nil
	case ast.AT_ColumnDefault:
		if c.Def == nil {
			return &SetDefault{c.Name, ""}, nil
		}
		// The column's type is known when the statement runs; the expression
		// itself can be checked now.
		if _, err := b.expr(c.Def, &scope{clause: "DEFAULT expressions"}); err != nil {
			return nil, err
		}
		return &SetDefault{c.Name, deparse(c.Def)}, nil
	case ast.AT_SetNotNull:
		return &SetNotNull{c.Name, true}, nil
	case ast.AT_DropNotNull:
		return &SetNotNull{c.Name, false}, nil
	case ast.AT_AlterColumnType:
		d := c.Def.(*ast.ColumnDef)
		t, mod, err := typeName(d.TypeName)
		if err != nil {
			return nil, b.atName(err, names(d.TypeName.Names)...)
		}
		act := &AlterType{Column: c.Name, Type: t, Typmod: mod}
		if d.RawDefault != nil {
			act.Using = deparse(d.RawDefault)
		}
		return act, nil
	case ast.AT_AddConstraint:
		spec, err := b.constraint(c.Def.(*ast.Constraint), "")
		switch {
		case err != nil:
			return nil, err
		case spec.check != nil:
			return &AddCheck{*spec.check}, nil
		case spec.foreign != nil:
			return &AddForeignKey{*spec.foreign}, nil
		}
		return &AddIndexConstraint{*spec.index}, nil
	case ast.AT_ValidateConstraint:
		return &ValidateConstraint{c.Name}, nil
	case ast.AT_AlterConstraint:
		k := c.Def.(*ast.Constraint)
		return &AlterConstraint{k.Conname, k.Deferrable || k.Initdeferred, k.Initdeferred}, nil
	case ast.AT_DropConstraint:
		return &DropConstraint{c.Name, c.MissingOk, cascade}, nil
	}
	return b.alterRest(c)
}

func (b *binder) alterRest(c *ast.AlterTableCmd) (AlterAction, error) {
	switch c.Subtype {
	case ast.AT_AddIdentity:
		k := c.Def.(*ast.Constraint)
		spec, err := sequenceSpec(k.Options)
		return &AddIdentity{c.Name, k.GeneratedWhen, &spec}, err
	case ast.AT_DropIdentity:
		return &DropIdentity{c.Name, c.MissingOk}, nil
	case ast.AT_ChangeOwner:
		return &ChangeOwner{c.Newowner.Rolename}, nil
	case ast.AT_SetRelOptions:
		l, _ := c.Def.(*ast.NodeList)
		return &SetOptions{relOptions(l)}, nil
	case ast.AT_ReplicaIdentity:
		r, ok := c.Def.(*ast.ReplicaIdentityStmt)
		if !ok {
			return nil, sqlstate.New(sqlstate.SyntaxError, "syntax error in REPLICA IDENTITY")
		}
		return &SetReplicaIdentity{catalog.ReplicaIdentity(r.IdentityType), r.Name}, nil
	case ast.AT_SetStatistics, ast.AT_SetStorage, ast.AT_SetCompression, ast.AT_ClusterOn, ast.AT_DropCluster,
		ast.AT_SetOptions, ast.AT_ResetOptions, ast.AT_ResetRelOptions:
		// Hints about how a table is kept that have no counterpart here.
		return nil, nil
	}
	return nil, unsupported("this action of ALTER TABLE")
}

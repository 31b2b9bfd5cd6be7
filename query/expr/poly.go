package expr

import (
	"slices"

	"github.com/tidemark-db/tidemark/sm/types"
)

func isPolymorphic(t *types.Type) bool {
	switch t {
	case types.AnyElementType, types.AnyArrayType, types.AnyNonArrayType, types.AnyCompatibleType,
		types.AnyCompatibleArrayType, types.AnyCompatibleNonArrayType:
		return true
	}
	return false
}

// solvePolymorphic replaces the polymorphic types of a function's parameters
// and result by what the actual argument types make them; ok is false when
// they contradict each other. Unknown literals take the type the others fix.
func solvePolymorphic(decl, actual []*types.Type, ret *types.Type) (args []*types.Type, result *types.Type, ok bool) {
	if !slices.ContainsFunc(decl, isPolymorphic) && !isPolymorphic(ret) {
		return decl, ret, true
	}
	elem, ok1 := solveExact(decl, actual)
	common, ok2 := solveCompatible(decl, actual)
	if !ok1 || !ok2 {
		return nil, nil, false
	}
	args = make([]*types.Type, len(decl))
	for i, d := range decl {
		if args[i] = substitute(d, elem, common); args[i] == nil {
			return nil, nil, false
		}
	}
	result = substitute(ret, elem, common)
	return args, result, result != nil
}

func substitute(t, elem, common *types.Type) *types.Type {
	switch t {
	case types.AnyElementType, types.AnyNonArrayType:
		return elem
	case types.AnyCompatibleType, types.AnyCompatibleNonArrayType:
		return common
	case types.AnyArrayType:
		if elem == nil {
			return nil
		}
		return elem.Array
	case types.AnyCompatibleArrayType:
		if common == nil {
			return nil
		}
		return common.Array
	}
	return t
}

// elementOf returns the element type of an array type, vectors included.
func elementOf(t *types.Type) *types.Type { return t.Elem }

// solveExact finds the one type that anyelement and anyarray stand for; nil
// without a contradiction when nothing says.
func solveExact(decl, actual []*types.Type) (*types.Type, bool) {
	var elem *types.Type
	nonArray := false
	for i, d := range decl {
		if d != types.AnyElementType && d != types.AnyArrayType && d != types.AnyNonArrayType {
			continue
		}
		nonArray = nonArray || d == types.AnyNonArrayType
		a := actual[i]
		if a == types.UnknownType {
			continue
		}
		if d == types.AnyArrayType {
			if a == types.AnyArrayType {
				continue
			}
			if a = elementOf(a); a == nil {
				return nil, false
			}
		}
		if elem != nil && elem != a {
			return nil, false
		}
		elem = a
	}
	// When all arguments are unknown there is no contradiction yet, and no
	// answer either: substitute finds that out.
	if nonArray && elem != nil && elem.Elem != nil {
		return nil, false
	}
	return elem, true
}

// solveCompatible finds the common type of the anycompatible family.
func solveCompatible(decl, actual []*types.Type) (*types.Type, bool) {
	var candidates []*types.Type
	used, nonArray := false, false
	for i, d := range decl {
		if d != types.AnyCompatibleType && d != types.AnyCompatibleArrayType && d != types.AnyCompatibleNonArrayType {
			continue
		}
		used = true
		nonArray = nonArray || d == types.AnyCompatibleNonArrayType
		a := actual[i]
		if a == types.UnknownType {
			continue
		}
		if d == types.AnyCompatibleArrayType {
			if a = elementOf(a); a == nil {
				return nil, false
			}
		}
		candidates = append(candidates, a)
	}
	if !used {
		return nil, true
	}
	if len(candidates) == 0 {
		return types.TextType, true
	}
	common, err := SelectCommonType(candidates, "")
	if err != nil {
		return nil, false
	}
	for _, t := range candidates {
		if !canCoerce(t, common, Implicit) {
			return nil, false
		}
	}
	return common, !nonArray || common.Elem == nil
}

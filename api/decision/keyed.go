package decision

import (
	"errors"
	"reflect"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// keyed is a CEL map that is only asked for single texts: the compiler lets no other expression get here.
type keyed struct {
	from finder
}

// finder returns what a key leads to. ok is false if there is nothing.
type finder interface {
	find(key string) (value ref.Val, ok bool)
}

var (
	_        traits.Mapper = (*keyed)(nil)
	errKeyed               = errors.New("the map gives single entries only")
)

// Find returns an entry.
func (k *keyed) Find(key ref.Val) (ref.Val, bool) {
	text, ok := key.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(key), false
	}
	return k.from.find(string(text))
}

// Get returns an entry, or an error if there is none.
func (k *keyed) Get(key ref.Val) ref.Val {
	v, found := k.Find(key)
	switch {
	case found:
		return v
	case v != nil:
		return v
	}
	return types.NewErr("no such key")
}

// Contains reports whether there is an entry.
func (k *keyed) Contains(key ref.Val) ref.Val {
	v, found := k.Find(key)
	if v != nil && types.IsError(v) {
		return v
	}
	return types.Bool(found)
}

// Size is an error, as are all methods below it.
func (k *keyed) Size() ref.Val { return types.WrapErr(errKeyed) }

// Iterator gives nothing.
func (k *keyed) Iterator() traits.Iterator {
	return types.NewDynamicList(adapter{}, []any{}).Iterator()
}

// Equal is an error.
func (k *keyed) Equal(ref.Val) ref.Val { return types.WrapErr(errKeyed) }

// ConvertToNative is an error.
func (k *keyed) ConvertToNative(reflect.Type) (any, error) { return nil, errKeyed }

// ConvertToType is an error.
func (k *keyed) ConvertToType(ref.Type) ref.Val { return types.WrapErr(errKeyed) }

// Type returns map.
func (k *keyed) Type() ref.Type { return types.MapType }

// Value returns the map itself.
func (k *keyed) Value() any { return k }

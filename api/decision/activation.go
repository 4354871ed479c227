package decision

import (
	"encoding/json"
	"errors"
	"net/textproto"
	"net/url"
	"reflect"
	"strconv"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// activation gives CEL the variables of one evaluation, each made when it is asked for.
type activation struct {
	token    token
	request  *Request  // nil while claims alone are settled
	path     string    // what request.path is: request.Path, or another reading of it
	template *template // nil: no captures
}

var _ cel.Activation = (*activation)(nil)

// Parent returns nil: there is no outer scope.
func (a *activation) Parent() cel.Activation { return nil }

// ResolveName returns a variable.
func (a *activation) ResolveName(name string) (any, bool) {
	switch name {
	case "claims":
		if a.token.claims == nil {
			return map[string]any{}, true
		}
		return map[string]any(a.token.claims), true
	case "issuer":
		return a.token.issuer(), true
	}
	if a.request == nil {
		return nil, false
	}
	if name == "now" {
		return types.Timestamp{Time: a.request.Now}, true
	}
	if capture, ok := strings.CutPrefix(name, "path."); ok && a.template != nil {
		return a.template.value(capture, a.request.Path)
	}
	return a.requestVariable(name)
}

func (a *activation) requestVariable(name string) (any, bool) {
	r := a.request
	switch name {
	case "request.method":
		return r.Method, true
	case "request.path":
		return a.path, true
	case "request.host":
		return r.Host, r.Host != ""
	case "request.port":
		return r.Port, true
	case "request.remoteIP":
		if !r.Remote.IsValid() {
			return "", true
		}
		return r.Remote.Unmap().WithZone("").String(), true
	case "request.tls.subject":
		if r.ClientCert == nil {
			return "", true
		}
		return r.ClientCert.Subject, true
	case "request.tls.san":
		if r.ClientCert == nil {
			return []string{}, true
		}
		return r.ClientCert.SANs, true
	case "request.headers":
		return headers{r}, true
	case "request.query":
		q, err := url.ParseQuery(r.RawQuery)
		if err != nil { // two readers may read it in two ways
			return types.NewErr("the query is malformed"), true
		}
		return map[string][]string(q), true
	}
	return nil, false
}

// adapter turns claims into CEL values when they are looked at.
type adapter struct{}

var _ types.Adapter = adapter{}

// NativeToValue converts JSON numbers to int where they are whole and fit, else to uint, else to double, and passes
// objects and lists on unconverted.
func (a adapter) NativeToValue(v any) ref.Val {
	switch v := v.(type) {
	case json.Number:
		return numberToCEL(string(v))
	case map[string]any:
		return types.NewStringInterfaceMap(a, v)
	case Claims:
		return types.NewStringInterfaceMap(a, v)
	case []any:
		return types.NewDynamicList(a, v)
	}
	return types.DefaultTypeAdapter.NativeToValue(v)
}

func numberToCEL(s string) ref.Val {
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return types.Int(i)
	}
	if u, err := strconv.ParseUint(s, 10, 64); err == nil {
		return types.Uint(u)
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return types.NewErr("a number is out of range")
	}
	const exact = 1 << 53 // whole numbers below it are exact in a float64
	if i := int64(f); f > -exact && f < exact && float64(i) == f {
		return types.Int(i)
	}
	return types.Double(f)
}

// headers is request.headers: a map that is only asked for single keys, which are in lower case.
type headers struct {
	request *Request
}

var (
	_            traits.Mapper = headers{}
	errHeaderMap               = errors.New("request.headers gives single headers only")
)

// Find returns the values of a header joined with ", " (RFC 9110 section 5.3).
func (h headers) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(key), false
	}
	if strings.ToLower(string(name)) != string(name) {
		return nil, false
	}
	values := h.request.header(textproto.CanonicalMIMEHeaderKey(string(name)))
	if len(values) == 0 {
		return nil, false
	}
	return types.String(strings.Join(values, ", ")), true
}

// Get returns a header, or an error if there is none.
func (h headers) Get(key ref.Val) ref.Val {
	v, found := h.Find(key)
	switch {
	case found:
		return v
	case v != nil:
		return v
	}
	return types.NewErr("no such header")
}

// Contains reports whether a header is there.
func (h headers) Contains(key ref.Val) ref.Val {
	v, found := h.Find(key)
	if v != nil && types.IsError(v) {
		return v
	}
	return types.Bool(found)
}

// Size is an error, as are all methods below it: the compiler lets no expression get here.
func (h headers) Size() ref.Val { return types.WrapErr(errHeaderMap) }

// Iterator gives nothing.
func (h headers) Iterator() traits.Iterator {
	return types.NewDynamicList(adapter{}, []any{}).Iterator()
}

// Equal is an error.
func (h headers) Equal(ref.Val) ref.Val { return types.WrapErr(errHeaderMap) }

// ConvertToNative is an error.
func (h headers) ConvertToNative(reflect.Type) (any, error) { return nil, errHeaderMap }

// ConvertToType is an error.
func (h headers) ConvertToType(ref.Type) ref.Val { return types.WrapErr(errHeaderMap) }

// Type returns map.
func (h headers) Type() ref.Type { return types.MapType }

// Value returns the map itself.
func (h headers) Value() any { return h }

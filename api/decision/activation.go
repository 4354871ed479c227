package decision

import (
	"encoding/json"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

// activation gives CEL the variables of one evaluation, each made when it is asked for.
type activation struct {
	token    token
	request  *Request  // nil while claims alone are settled
	path     string    // what request.path is: request.Path, or another reading of it
	template *template // nil: no captures
	reads    *reads    // the claims in token.kept

	claimMap, headerMap keyed // space for variables
}

var _ cel.Activation = (*activation)(nil)

// Parent returns nil: there is no outer scope.
func (a *activation) Parent() cel.Activation { return nil }

// ResolveName returns a variable.
func (a *activation) ResolveName(name string) (any, bool) {
	switch name {
	case "claims":
		return a.claims(), true
	case "issuer":
		return a.issuer(), true
	case "actor":
		return a.actor(), true
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

// claims is the variable of that name.
func (a *activation) claims() any {
	switch {
	case a.token.kept != nil:
		a.claimMap = keyed{keptClaims{a}}
		return &a.claimMap
	case a.token.claims != nil:
		return map[string]any(a.token.claims)
	}
	return map[string]any{}
}

// issuer is the variable of that name: iss, or the empty text.
func (a *activation) issuer() string {
	if a.token.kept != nil {
		iss, _ := a.reads.find(a.token.kept, "iss")
		text, _ := iss.(string)
		return text
	}
	return a.token.claims.text("iss")
}

// actor is the variable of that name: what is said of the party that acts now; empty if the subject uses its token itself. What
// names no party is an error, so that it does not fit an allow rule and fits a deny rule.
func (a *activation) actor() any {
	act, has := a.token.claims[actClaim]
	if a.token.kept != nil {
		act, has = a.reads.find(a.token.kept, actClaim)
	}
	if !has {
		return map[string]any{}
	}
	who, ok := readActor(act)
	if !ok {
		return types.NewErr("the claim act names nobody")
	}
	return withoutPrior(who)
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
		a.headerMap = keyed{headers{r}}
		return &a.headerMap, true
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

// headers finds what request.headers is asked for. Names are in lower case.
type headers struct {
	request *Request
}

// find returns the values of a header joined with ", " (RFC 9110 section 5.3).
func (h headers) find(name string) (ref.Val, bool) {
	if strings.ToLower(name) != name {
		return nil, false
	}
	values := h.request.header(textproto.CanonicalMIMEHeaderKey(name))
	if len(values) == 0 {
		return nil, false
	}
	return types.String(strings.Join(values, ", ")), true
}

// keptClaims finds what claims are asked for in the Subject of a Pool.
type keptClaims struct {
	*activation
}

func (k keptClaims) find(name string) (ref.Val, bool) {
	v, ok := k.reads.find(k.token.kept, name)
	if !ok {
		return nil, false
	}
	return adapter{}.NativeToValue(v), true
}

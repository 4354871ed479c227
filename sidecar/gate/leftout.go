package gate

// maxIdentity bounds the value of an identity header, in bytes: most servers take no larger head.
const maxIdentity = 16 << 10

// LeftOut is an identity header that the app does not get of a token, and why. It holds no claim value.
type LeftOut struct {
	// Policy is the ID of the policy that names the header.
	Policy string
	// Header is the header's name in canonical MIME form.
	Header string
	// Why the header is left out.
	Why Omission
}

// Omission is why an identity header is left out. The set is closed; an Omission is safe as a metric label and in a log.
type Omission string

// The reasons to leave an identity header out. A header carries a value unchanged or not at all.
const (
	// NoClaim: the token lacks the claim, or it is null.
	NoClaim Omission = "no_claim"
	// Comma: an element of a list has a comma, and would read as two in CSV.
	Comma Omission = "comma"
	// Control: the value has a control byte, such as a line break.
	Control Omission = "control"
	// Space: the value begins or ends with white space, which parsers trim.
	Space Omission = "space"
	// Empty: the value, or an element of a list, is empty.
	Empty Omission = "empty"
	// EmptyList: the list has no elements.
	EmptyList Omission = "empty_list"
	// List: the claim is a list, which the format String cannot write.
	List Omission = "list"
	// Object: the claim is an object, which the formats String and CSV cannot write.
	Object Omission = "object"
	// Element: an element of a list is a list, an object or null, which the format CSV cannot write.
	Element Omission = "element"
	// TooLong: the value has more than 16 KiB.
	TooLong Omission = "too_long"
	// NotText: the value cannot be written at all.
	NotText Omission = "not_text"
)

// Omissions returns every Omission, for tables that must cover them all.
func Omissions() []Omission {
	return []Omission{NoClaim, Comma, Control, Space, Empty, EmptyList, List, Object, Element, TooLong, NotText}
}

// Text says for people why, and what to do.
func (o Omission) Text() string {
	switch o {
	case NoClaim:
		return "the token has no such claim"
	case Comma:
		return "an element has a comma; use format JSON"
	case Control:
		return "the value has a control character; use format JSON"
	case Space:
		return "the value begins or ends with white space; use format JSON"
	case Empty:
		return "the value, or an element, is empty; use format JSON"
	case EmptyList:
		return "the list is empty; use format JSON"
	case List:
		return "the claim is a list; use format CSV or JSON"
	case Object:
		return "the claim is an object; use format JSON"
	case Element:
		return "an element is a list, an object or null; use format JSON"
	case TooLong:
		return "the value has more than 16 KiB"
	case NotText:
	}
	return "the value cannot be written"
}

package decision

// Cause says what exactly led to a Reason: which claim, which header member, which part of the path, and what was wrong
// with it. It is for the people who run the guard. A client gets the constant text of the Reason (package refuse), so
// that it learns nothing about keys and policies.
//
// A Cause keeps what it needs and makes its text when it is asked, since most refusals are never read. It is immutable,
// outlives the request, and is safe for concurrent use. The nil Cause means that the Reason says it all.
type Cause interface {
	// String has no value of a token, a key or a claim. It may have values of a policy, and names from a closed list. It
	// is for logs, the admin port and status.
	String() string
	// Detail has the values as well. It is for someone who holds the token, as in "bearerguard check".
	Detail() string
}

// Because is a Cause that one constant text tells whole.
type Because string

// String returns the text.
func (b Because) String() string { return string(b) }

// Detail returns the text.
func (b Because) Detail() string { return string(b) }

// Refusal is why something is not taken. The zero Refusal refuses nothing: it is what a step returns that went well.
type Refusal struct {
	// Reason is empty where nothing was refused.
	Reason Reason
	// Cause is nil where the Reason says it all.
	Cause Cause
}

// Refused reports whether something is not taken.
func (r Refusal) Refused() bool { return r.Reason != "" }

package introspect

import (
	"errors"
	"net/http"
)

// Result is what became of a question. The set is closed; a Result is safe as a metric label.
type Result string

// The results.
const (
	// Answered: there is an answer, whatever it says.
	Answered Result = "answered"
	// Timeouted: there was none within Timeout.
	Timeouted Result = "timeout"
	// Unreachable: no connection, no TLS, no HTTP, or no address.
	Unreachable Result = "unreachable"
	// Status: the answer's status is not 200.
	Status Result = "status"
	// Garbage: the answer is of another media type, or in a content coding.
	Garbage Result = "garbage"
	// TooLarge: the answer has more than MaxBytes.
	TooLarge Result = "too_large"
	// Open: nobody was asked, since the endpoint has failed several times in a row.
	Open Result = "breaker_open"
	// Crowded: nobody was asked, since too many questions ran, until nobody waited any more.
	Crowded Result = "crowded"
)

// Results returns every Result.
func Results() []Result {
	return []Result{Answered, Timeouted, Unreachable, Status, Garbage, TooLarge, Open, Crowded}
}

// Failure is why there is no answer. It holds nothing of the token, of the credential, or of what the server sent.
type Failure struct {
	Result Result
	// Code is the status; 0 unless Result is Status.
	Code int
	Err  error
}

// Error tells why.
func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap returns why.
func (f *Failure) Unwrap() error { return f.Err }

// ours reports whether the failure is the endpoint's as a whole, and would be the same for other tokens: what depends on the token
// must not count, or whoever brings an odd one could cut off the others.
func (f *Failure) ours() bool {
	switch f.Result {
	case Timeouted, Unreachable:
		return true
	case Status:
		// 401 is about our credential (RFC 7662 section 2.3). 403 and 404 are not counted: a firewall before the endpoint says so of a
		// request whose token it takes for an attack.
		return f.Code >= 500 || f.Code == http.StatusUnauthorized || f.Code == http.StatusTooManyRequests
	case Answered, Garbage, TooLarge, Open, Crowded:
	}
	return false
}

var (
	errOpen    = errors.New("it has failed several times in a row, and is not asked for a moment")
	errCrowded = errors.New("too many questions run")
)

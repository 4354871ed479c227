// Package decision gives policies their meaning.
//
// Compile turns any number of policies into one immutable Program. A verified token is bound to it once:
// Program.Bind settles every condition that looks at claims alone and keeps the verdicts as a bit set. A request then
// costs a walk of the route index and a few mask tests: Program.Decide. Program.Explain runs the same code and reports
// every rule.
//
//	program, err := decision.Compile(policies)   // errors name field path, problem and what is expected
//	subject := program.Bind(claims, verified)     // once a token; safe to cache and share
//	verdict := program.Decide(&request, subject)  // zero Decision denies
//
// Where Subjects are kept by the ten thousand, a Pool makes them small: without the claims that nothing reads any more.
//
// Policies and rules are sets: neither order nor number of teams changes a verdict. A deny rule that fits refuses;
// else an allow rule that fits lets the request through; else the request is refused. An error while evaluating a CEL
// expression never opens anything: in an allow rule it means "does not fit", in a deny rule "fits".
//
// What is matched is what is forwarded: ReadPath and CanonicalHost bring a request to the one form that rules see
// and the app gets.
//
// Everything here is pure: values in, values out, and the time comes in with the request. All types are safe for
// concurrent use once made.
package decision

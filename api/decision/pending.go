package decision

type node struct{}
type rule struct{}

// Subject is a verified token bound to a Program.
type Subject struct{}

// Explanation is a Decision and what every rule had to do with it.
type Explanation struct {
	Decision Decision `json:"decision"`
}

type compiler struct {
	program  *Program
	policy   string
	problems []error
}

func (c *compiler) fail(path, problem, want string) {
	c.problems = append(c.problems, &FieldError{Policy: c.policy, Path: path, Problem: problem, Want: want})
}

func (c *compiler) addPolicy(Policy) {}
func (c *compiler) link()            {}

// Bind settles the conditions on claims.
func (p *Program) Bind(claims Claims, verified IssuerSet) *Subject { return nil }

// Decide judges a request.
func (p *Program) Decide(r *Request, s *Subject) Decision { return Decision{Reason: NoPolicy} }

// Explain judges a request and reports every rule.
func (p *Program) Explain(r *Request, s *Subject) Explanation { return Explanation{} }

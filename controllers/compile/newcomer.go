package compile

// Newcomer is a policy, new or changed, that asks for room among the others of its namespace.
type Newcomer struct {
	Namespace, Name string
	Cost            Cost
	// Was returns what it took before the change; nil: it is new. It may be called never, and takes time.
	Was func() *Cost
}

// Beside returns why there is no room for p beside others; nil if there is.
func (p *Newcomer) Beside(others []Cost) error {
	err := Over(others, nil, p.Cost)
	if err == nil || p.Was == nil {
		return err
	}
	return Over(others, p.Was(), p.Cost)
}

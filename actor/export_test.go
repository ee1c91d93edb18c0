package actor

// Choose returns the name of the routee that the message would go to.
func (p *RouterPool[M]) Choose(message M) string { return p.choose(p.all(), message).name }

// Limits that only the documentation names.
const (
	RunBudget = runBudget
	CutGrace  = cutGrace
	MaxWanted = maxWanted
)

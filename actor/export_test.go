package actor

// Choose returns the name of the routee that the message would go to.
func (p *RouterPool[M]) Choose(message M) string { return p.choose(p.all(), message).name }

// Watches returns how many watches there are of the actor, and how many it has
// of others.
func (r Ref[M]) Watches() (of, by int) {
	r.cell.mu.Lock()
	defer r.cell.mu.Unlock()
	if extra := r.cell.extra; extra != nil {
		return len(extra.watchers), len(extra.watching)
	}
	return 0, 0
}

// Limits that only the documentation mentions.
const (
	RunBudget = runBudget
	CutGrace  = cutGrace
	MaxWanted = maxWanted
)

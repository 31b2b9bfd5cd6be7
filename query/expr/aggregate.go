package expr

// Aggregate is one aggregate function.
type Aggregate struct{ Func }

func (l *library) addAggregate(w []string) {}

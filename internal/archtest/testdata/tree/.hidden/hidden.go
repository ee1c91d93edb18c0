package hidden

var Ignored int

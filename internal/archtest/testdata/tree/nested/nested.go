package nested

var Ignored int

// Package twice is documented twice.
package twice

// X is exported and can be replaced by anyone.
var X = 1 // want globals "it can be assigned to"

// Table can be changed by anyone.
var Table = map[string]int{} // want globals "other packages can change an exported table"

var cache = map[string]int{} // want globals "the package writes to it"

var list = []int{1} // want globals "the package writes to it"

var made = build() // want globals "anyone may change what the call returns"

var pointed = [1]int{} // want globals "the package writes to it"

var (
	// read is a table that nobody writes to, though a local of its name is.
	read = [...]int{1}

	//archtest:allow globals counts for the whole process, as the specification wants
	counter int
)

func build() []int {
	cache["x"] = read[0]
	list = append(list, 1)
	p := &pointed
	read := 1
	read++
	return p[:]
}

module reprise/bench/peers/gomlx

go 1.26.0

require (
	github.com/gomlx/gomlx v0.27.3
	reprise/bench v0.0.0
)

replace (
	reprise => ../../../
	reprise/bench => ../../
)

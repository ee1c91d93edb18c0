module reprise/bench/peers/gomlx

go 1.26.0

require (
	github.com/gomlx/gomlx v0.27.3
	reprise/bench v0.0.0
)

require (
	github.com/go-logr/logr v1.4.3 // indirect
	github.com/pkg/errors v0.9.1 // indirect
	github.com/x448/float16 v0.8.4 // indirect
	golang.org/x/exp v0.0.0-20260312153236-7ab1446f8b90 // indirect
	k8s.io/klog/v2 v2.140.0 // indirect
)

replace (
	reprise => ../../../
	reprise/bench => ../../
)

package api_test

import (
	"fmt"

	"reprise/api"
)

// A mistake is shown with its place, its value and its fix.
func ExampleParseTrainingRequest() {
	_, err := api.ParseTrainingRequest("job.yaml", []byte(`model_architecture: mlp
dataset_path: mnist
config: {batch_size: 0, learning_rate: 0.001, epochs: 3}
`))
	fmt.Println(err)
	// Output:
	// job.yaml:3:22: config.batch_size: 0 must be at least 1; use a size such as 32
	//     3 | config: {batch_size: 0, learning_rate: 0.001, epochs: 3}
	//       |                      ^
}

func ExampleTrainingRequest_Canonical() {
	request, err := api.ParseTrainingRequest("job.yaml", []byte(`
model_architecture: [{type: flatten}, {type: linear, units: 10}]
dataset_path: digits
config: {batch_size: 32, learning_rate: 1e-3, epochs: 3, optimizer: sgd}
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	canonical, err := request.Canonical()
	fmt.Println(string(canonical), err)
	// Output:
	// {"config":{"batch_size":32,"checkpoint_interval":1,"epochs":3,"learning_rate":0.001,"optimizer":{"momentum":0,"name":"sgd","nesterov":false,"weight_decay":0},"schedule":{"name":"constant"},"seed":0,"shards":1},"dataset_path":"digits","model_architecture":[{"type":"flatten"},{"type":"linear","units":10}]} <nil>
}

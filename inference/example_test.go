package inference_test

import (
	"fmt"
	"log"

	"reprise/inference"
)

func Example() {
	model, err := inference.Open("testdata/pets.tar")
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	predictions, err := model.Predict([]inference.Row{{"size": 10.5, "colour": "brown"}, {"size": 3, "colour": "white"}})
	if err != nil {
		log.Panic(err)
	}
	for _, p := range predictions {
		fmt.Println(p.Class)
	}
	// Output:
	// dog
	// cat
}

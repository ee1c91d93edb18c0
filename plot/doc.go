// Package plot draws the figures of training: curves and clouds of points ([Chart]) and
// confusion matrices ([Matrix]), as SVG, as PNG, and as characters for a terminal. It knows
// nothing of runs: whoever draws says what the numbers are.
//
// A picture becomes a scene of lines, rectangles and texts once, from which [SVG] and [PNG]
// are written, so that both look alike. [Text] draws the same picture with the means of a
// terminal. The same picture always gives the same bytes: there is no date in a file, and
// the font of PNG, which has Latin, Greek and Cyrillic letters, is part of the program. SVG
// has texts as texts, in the font of whoever looks at it.
//
// Numbers that are not finite are left out. Nothing here fails but writing. Functions may be
// called concurrently; pictures are only read.
package plot

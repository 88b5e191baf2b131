package query

import (
	"strconv"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/search"
)

// defaultDistance is what near means without a distance, in meters; R4 leaves it to
// the server.
const defaultDistance = 50_000

// near reads latitude|longitude[|distance[|unit]] (Location, near). The unit is of
// UCUM; km when it is not given.
func near(a string) (Value, error) {
	bad := func() (Value, error) {
		return nil, malformed("'%s' is no place; expected latitude|longitude|distance|unit, in degrees and a UCUM unit of length", fhir.Cut(a))
	}
	parts := split(a, '|')
	if len(parts) < 2 || len(parts) > 4 {
		return bad()
	}
	p := Position{Meters: defaultDistance}
	var ok1, ok2 bool
	p.Latitude, ok1 = degrees(parts[0], 90)
	p.Longitude, ok2 = degrees(parts[1], 180)
	if !ok1 || !ok2 {
		return bad()
	}
	if len(parts) > 2 && parts[2] != "" {
		unit := "km"
		if len(parts) == 4 && parts[3] != "" {
			unit = unescape(parts[3])
		}
		d, base, ok := search.ParseAmountIn([]byte(parts[2]), []byte(unit))
		if !ok || base != "m" || d.Exact < 0 {
			return bad()
		}
		p.Meters = d.Exact
	} else if len(parts) == 4 && parts[3] != "" {
		return bad()
	}
	return p, nil
}

func degrees(s string, limit float64) (float64, bool) {
	d, err := strconv.ParseFloat(s, 64)
	return d, err == nil && -limit <= d && d <= limit
}

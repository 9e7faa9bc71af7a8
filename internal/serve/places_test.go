package serve

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// However many places a token takes, one that comes without any finds one.
func TestPlacesAreShared(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		p := newPlaces(8)
		var mu sync.Mutex
		var leave []func()
		enter := func(token string) error {
			l, err := p.enter(t.Context(), token)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				leave = append(leave, l)
			}
			return err
		}
		exit := func(place int) {
			mu.Lock()
			l := leave[place]
			mu.Unlock()
			l()
		}
		for i, token := range []string{"a", "a", "a", "a", "b", "b", "c"} { // as long as it has fewer than are free
			began := time.Now()
			if err := enter(token); err != nil || time.Since(began) > 0 {
				t.Fatalf("place %d, of %s: %v after %s", i, token, err, time.Since(began))
			}
		}
		began := time.Now()
		busy, ok := errors.AsType[*Problem](enter("a"))
		if !ok || busy.Status != http.StatusServiceUnavailable || busy.RetryAfter == 0 || time.Since(began) != roomWithin {
			t.Errorf("one more than its share is refused with %+v after %s", busy, time.Since(began))
		}
		gone, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.enter(gone, "b"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("whoever leaves is told %v", err)
		}

		served := make(chan string, 3)
		for _, token := range []string{"a", "c", "b"} {
			go func() {
				if err := enter(token); err != nil {
					t.Errorf("%s: %v", token, err)
				}
				served <- token
			}()
			synctest.Wait()
		}
		exit(0) // of a, which then has three, and two are free
		exit(0)
		synctest.Wait()
		if got := <-served; got != "c" || len(served) > 0 {
			t.Errorf("%s gets the place, and %d more", got, len(served))
		}
		exit(1)
		exit(2)
		exit(4)
		synctest.Wait()
		if one, two := <-served, <-served; fmt.Sprint(one, two) != "ab" && fmt.Sprint(one, two) != "ba" {
			t.Errorf("%s and %s get a place", one, two)
		}
		for i := range leave {
			exit(i)
		}
		if p.free != 8 || len(p.has) != 0 || len(p.waiting) != 0 {
			t.Errorf("in the end %d are free, %v have some and %d wait", p.free, p.has, len(p.waiting))
		}
	})
}

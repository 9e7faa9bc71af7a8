package limit

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Listen has limiters that share client hear at once when another process was
// told to wait: whoever has a slot by then does not use it. Who does not listen
// hears of it when it books the next slot. It goes on until ctx is done, also
// while Redis is away.
func Listen(ctx context.Context, client redis.UniversalClient, limiters ...*Limiter) {
	by := map[string]*Limiter{}
	channels := make([]string, 0, len(limiters))
	for _, l := range limiters {
		by[l.shared.channel] = l
		channels = append(channels, l.shared.channel)
	}
	sub := client.Subscribe(ctx, channels...)
	defer sub.Close()
	messages := sub.Channel()
	for {
		select {
		case m, ok := <-messages:
			if !ok {
				return
			}
			by[m.Channel].hear(m.Payload)
		case <-ctx.Done():
			return
		}
	}
}

// channelOf is where freezes of an action are told. Channels are those of all
// databases of a Redis.
func channelOf(client redis.UniversalClient, action string) string {
	database := 0
	if c, ok := client.(interface{ Options() *redis.Options }); ok {
		database = c.Options().DB
	}
	return fmt.Sprintf("usher:limit:%s:frozen@%d", action, database)
}

// hear is told what time it was for Redis, and until when nothing goes out.
func (l *Limiter) hear(told string) {
	at, until, _ := strings.Cut(told, " ")
	now, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return // of another version
	}
	frozen, err := strconv.ParseInt(until, 10, 64)
	if err != nil {
		return
	}
	instant := l.shared.hear(now, frozen)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.freeze(instant)
}

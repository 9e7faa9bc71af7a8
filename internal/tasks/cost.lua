-- Adds to what tasks of an action cost. KEYS: what is known of it. ARGV: names,
-- each with how much to add. What is known fades by half in two minutes of work.
local now = tonumber(redis.call('TIME')[1])
local known = redis.call('HGETALL', KEYS[1])
local sum = {}
for i = 1, #known, 2 do sum[known[i]] = tonumber(known[i + 1]) or 0 end
local fade = 0.5 ^ (math.max(0, now - (sum.at or now)) / 120)
for name, v in pairs(sum) do sum[name] = v * fade end
for i = 1, #ARGV, 2 do sum[ARGV[i]] = (sum[ARGV[i]] or 0) + tonumber(ARGV[i + 1]) end
sum.at = now
for name, v in pairs(sum) do redis.call('HSET', KEYS[1], name, string.format('%.3f', v)) end
redis.call('PEXPIRE', KEYS[1], 3600000)
return redis.status_reply('OK')

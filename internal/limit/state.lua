-- What every script begins with: the state of an action, by Redis's clock.
-- Times are microseconds, rates calls a second. KEYS: the state, the reports of
-- who waits, the last minute, the last slots, the last slots that were throttled.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local second, week = 1000000, 604800000

local names = {
  'tat',       -- when the next slot is free
  'frozen',    -- until then no slot is given out
  'rate',      -- allowed now
  'good',      -- the last rate that was held without a throttle
  'limit',     -- never passed
  'conf',      -- what the processes are configured with
  'confirmed', -- when one of them last said so
  'over',      -- what an operator set instead; 0 means nothing
  'version',   -- of that
  'born',
  'cut',       -- when the last congestion began
  'before',    -- the rate then
  'evidence',  -- throttled calls of it
  'probed',    -- 1 if it began while trying more than the good rate
  'held',      -- time without a throttle before it
  'row',       -- congestions since the last time that went well
  'clean',     -- time without a throttle since, while calls stood in line
  'hold',      -- clean time before more is tried
  'step',      -- by how much more was tried last; 0 means that it was not
  'stepped',   -- the clean time then
  'prior',     -- the rate before that step
  'owed',      -- by how much slots are to be pushed back, because calls left late,
  'owing',     -- the first of them
  'shy',       -- until then everybody keeps to its share,
  'sharers'    -- one of so many
}
local s = {}
for i, v in ipairs(redis.call('HMGET', KEYS[1], unpack(names))) do
  s[names[i]] = tonumber(v) or 0
end

local function save()
  local args = {}
  for _, name in ipairs(names) do
    args[#args + 1] = name
    args[#args + 1] = string.format('%.6f', s[name])
  end
  redis.call('HSET', KEYS[1], unpack(args))
  redis.call('PEXPIRE', KEYS[1], week)
end

-- Slots that were given out before Redis forgot them may lie ahead: so many.
local function settle(slots)
  s.tat = now + math.min(second, slots * second / s.limit)
end

-- The newest override wins. Of several configured rates, as during a deploy, the
-- smallest that somebody confirmed within the last five seconds.
local function limitOf(conf, over, version)
  if version > s.version then
    s.version, s.over = version, over
  end
  if conf > 0 and (s.conf == 0 or conf <= s.conf or now > s.confirmed + 5 * second) then
    s.conf, s.confirmed = conf, now
  end
  return s.over > 0 and s.over or s.conf
end

local function applyLimit(limit)
  if s.limit == 0 then
    s.limit, s.rate, s.good, s.hold, s.born = limit, limit, limit, 3 * second, now
    settle(2)
  elseif math.abs(limit - s.limit) > 1e-5 then
    if limit < s.rate then -- a second that began before holds no more than the new limit either
      s.tat = math.max(s.tat, now) + (1 - limit / s.rate) * second
      s.rate = limit
    elseif s.rate > 0.99 * s.limit then
      s.rate, s.good = limit, limit
    end
    s.good = math.min(s.good, limit)
    s.limit, s.step, s.stepped = limit, 0, s.clean
  end
  -- A clock that was set back, or forward and back.
  if s.frozen > now + 121 * second then s.frozen = 0 end
  if s.tat > math.max(now, s.frozen) + 3 * second + 64 * second / s.rate then settle(32) end
end

-- Adds to the counts of these five seconds.
local function count(counts)
  local period = math.floor(now / (5 * second))
  local slot = period % 16
  if tonumber(redis.call('HGET', KEYS[3], slot .. ':period')) ~= period then
    redis.call('HSET', KEYS[3], slot .. ':period', period, slot .. ':sent', 0, slot .. ':throttled', 0, slot .. ':busy', 0, slot .. ':queued', 0)
  end
  for name, n in pairs(counts) do
    if n ~= 0 then redis.call('HINCRBY', KEYS[3], slot .. ':' .. name, math.floor(n)) end
  end
  redis.call('PEXPIRE', KEYS[3], 90000)
end

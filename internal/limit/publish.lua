-- Sets an override, or ends it. ARGV: calls a second (0: ends it), version.
if s.limit == 0 and tonumber(ARGV[1]) == 0 then
  s.version = math.max(s.version, tonumber(ARGV[2]))
else
  local limit = limitOf(0, tonumber(ARGV[1]), tonumber(ARGV[2]))
  if limit > 0 then applyLimit(limit) else s.limit = 0 end -- 0: until somebody says what is configured
end
save()
return now

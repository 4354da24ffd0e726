-- Moves the event ARGV[1] from KEYS[1], where it was set aside, to the stream KEYS[2]: its field data alone, or all of it
-- where no more than ARGV[2] may wait.
--
-- As in commit.lua, whatever can fail comes before the first write that shows: XADD is that write, and may fail itself.

local dead, target, id, most = KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2])

for _, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  if kind ~= 'stream' and kind ~= 'none' then return {'wrong type', key} end
end

local found = redis.call('XRANGE', dead, id, id)
if #found == 0 then return {'gone', id} end
local fields = found[1][2]
if most then
  if redis.call('XLEN', target) >= most then return {'full', target} end
else
  local data
  for index = 1, #fields, 2 do
    if fields[index] == 'data' then data = fields[index + 1] end
  end
  if not data then return {'corrupt', 'event ' .. id .. ' has no field data'} end
  fields = {'data', data}
end

redis.call('XDEL', dead, '0-0')
local moved = redis.call('XADD', target, '*', unpack(fields))
redis.call('XDEL', dead, id)
return {'moved', moved}

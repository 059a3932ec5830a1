import { expect, test } from "vitest"
import { NodeName, ServiceName } from "../../model/Names.ts"
import type { OwnFacts } from "./OwnRecord.ts"
import { type Bustle, gatherFor, heardNews, noBustle, paceTimes, takesAway } from "./RecordPace.ts"

const afterNews = (records: number, now: number, age = 0): Bustle => {
  let bustle = noBustle
  for (let n = 0; n < records; n++) bustle = heardNews(bustle, age, now)
  return bustle
}

test.each([
  { what: "nobody says anything", records: 0, gathers: 0 },
  { what: "one changes", records: 1, gathers: 10 },
  { what: "fifty start at once", records: 50, gathers: 500 },
  { what: "five hundred change", records: 500, gathers: 5_000 },
  { what: "ten thousand change", records: 10_000, gathers: paceTimes.most }
])("gathers for $gathers ms when $what", ({ gathers, records }) => {
  expect(gatherFor(afterNews(records, 7), 7, 0.5)).toBeCloseTo(gathers, 5)
})

test("not all that hear the same say theirs at once", () => {
  const bustle = afterNews(100, 7)
  expect(gatherFor(bustle, 7, 0)).toBeCloseTo(750, 5)
  expect(gatherFor(bustle, 7, 0.999)).toBeCloseTo(1_250, -1)
})

test("it is over soon after others have stopped, and what is old is no news", () => {
  expect(gatherFor(afterNews(500, 0), 30_000, 0.5)).toBeLessThan(20)
  expect(gatherFor(afterNews(500, 0, paceTimes.news), 0, 0.5)).toBe(0)
})

const endpoint = { id: "0", healthy: true, draining: false, weight: 100 }
const offering = (...endpoints: ReadonlyArray<typeof endpoint>): OwnFacts => ({
  name: NodeName.make("host"),
  software: "skein/test",
  addresses: [],
  services: [{ name: ServiceName.make("payments"), protocol: "http", endpoints }],
  state: "serving"
})
const other = { ...endpoint, id: "1" }

test.each([
  { what: "nothing", to: offering(endpoint, other), is: false },
  { what: "one more", to: offering(endpoint, other, { ...endpoint, id: "2" }), is: false },
  { what: "another weight", to: offering({ ...endpoint, weight: 1 }, other), is: false },
  { what: "other software", to: { software: "2" }, is: false },
  { what: "an endpoint that is gone", to: offering(other), is: true },
  {
    what: "an endpoint that is ill",
    to: offering({ ...endpoint, healthy: false }, other),
    is: true
  },
  {
    what: "an endpoint that drains",
    to: offering({ ...endpoint, draining: true }, other),
    is: true
  },
  { what: "a service that is gone", to: { services: [] }, is: true },
  { what: "a node that drains", to: { state: "draining" as const }, is: true },
  { what: "a node that leaves", to: { state: "left" as const }, is: true }
])("$what takes something away: $is", ({ is, to }) => {
  expect(takesAway(offering(endpoint, other), to)).toBe(is)
})

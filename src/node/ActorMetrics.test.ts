/** What programs have counted, as metrics of their node. */
import { describe, expect, it } from "vitest"
import { MetricRegistry } from "../request/cells/Metrics.ts"
import type { ActorReport } from "../schema/ActorReportSchema.ts"
import { prometheusText } from "../telemetry/PrometheusText.ts"
import { actorReport } from "../testing/ActorReportFixture.ts"
import { ActorMetrics } from "./ActorMetrics.ts"

class Scraped {
  readonly #registry = new MetricRegistry()
  readonly #metrics = new ActorMetrics(this.#registry)

  /** What of it is told after these have answered, of those that are there. */
  after(reports: ReadonlyArray<ActorReport>, there = reports.map(({ key }) => key)) {
    const told = { reports: reports.map((report) => ({ program: null, report })), silent: [] }
    this.#metrics.note(told, (key) => there.includes(key))
    const text = prometheusText(this.#registry)
    return (line: string): number | undefined => {
      const found = text.split("\n").find((one) => one.startsWith(`${line} `))
      return found === undefined ? undefined : Number(found.slice(line.length + 1))
    }
  }
}

const answered = 'skein_actors_messages_total{actor_type="Cart",result="success"}'
const inMemory = 'skein_actors_in_memory{actor_type="Cart"}'
const count = 'skein_actors_message_duration_seconds_count{actor_type="Cart"}'

describe("metrics of actors", () => {
  it("are sums over the programs of the host, by type and by what became of messages", () => {
    const value = new Scraped().after([actorReport("k1", 10), actorReport("k2", 5)])
    expect(value(answered)).toBe(15)
    expect(value(answered.replace("success", "mailbox_full"))).toBe(4)
    expect(value(inMemory)).toBe(4)
    expect(value('skein_actors_shards{actor_type="Cart"}')).toBe(256)
    expect(value('skein_actors_shards_moved_total{actor_type="Cart",result="taken"}')).toBe(6)
    expect(value('skein_actors_crashes_total{actor_type="Cart"}')).toBe(2)
    expect(value('skein_actors_lost_messages_total{actor_type="Cart"}')).toBe(4)
    const given = 'skein_actors_states_given_total{actor_type="Cart",result="success"}'
    expect([value(given), value(given.replace("success", "failure"))]).toEqual([10, 2])
    expect(value(count)).toBe(15)
    const bucket = 'skein_actors_message_duration_seconds_bucket{actor_type="Cart",le="0.001"}'
    expect(value(bucket)).toBe(15)
    expect(value('skein_actors_message_duration_seconds_sum{actor_type="Cart"}')).toBeCloseTo(
      0.01125
    )
  })

  it("never fall: neither when a program ends, nor when it begins anew", () => {
    const scraped = new Scraped()
    scraped.after([actorReport("k1", 10), actorReport("k2", 5)])
    const ended = scraped.after([actorReport("k1", 12)])
    expect([ended(answered), ended(count), ended(inMemory)]).toEqual([17, 17, 2])
    const anew = scraped.after([actorReport("k1", 3)])
    expect([anew(answered), anew(count)]).toEqual([20, 20])
    const none = scraped.after([])
    expect([none(answered), none(inMemory)]).toEqual([20, undefined])
  })

  it("count nothing twice of a program that has not answered once", () => {
    const scraped = new Scraped()
    scraped.after([actorReport("k1", 10)])
    const silent = scraped.after([], ["k1"])
    expect([silent(answered), silent(inMemory)]).toEqual([10, 2])
    expect(scraped.after([actorReport("k1", 11)])(answered)).toBe(11)
  })
})

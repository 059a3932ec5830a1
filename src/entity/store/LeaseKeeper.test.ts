import { describe, expect, it } from "vitest"
import type { Lease, Shard } from "./ActorStore.ts"
import { LeaseKeeper } from "./LeaseKeeper.ts"
import type { LeaseRequest, LeaseTimes } from "./LeaseStep.ts"

const times: LeaseTimes = { ttl: 10_000, renew: 3_000, finish: 2_000, retry: 1_000, drift: 0.1 }
const shard = (index: number): Shard => ({ type: "Cart", index })
const lease = (index: number, epoch = 1): Lease => ({ shard: shard(index), owner: "a", epoch })

/** What it does at a time: news by kind and shard, requests by kind and how many shards. */
const at = (keeper: LeaseKeeper, now: number) => {
  const { at: next, news, requests } = keeper.step(now)
  return {
    next,
    requests,
    says: [
      ...news.map((it) => `${it.kind} ${it.lease.shard.index}`),
      ...requests.map(
        (it) => `${it.kind} × ${it.kind === "acquire" ? it.shards.length : it.leases.length}`
      )
    ]
  }
}

const fresh = (): LeaseKeeper => new LeaseKeeper(() => 0.5, times)

/** Asked for at 0, and answered at 100. */
const holding = (): LeaseKeeper => {
  const keeper = fresh()
  keeper.want([shard(0)], 0)
  const [request] = at(keeper, 0).requests
  keeper.answered(request!, [lease(0)], 100)
  expect(at(keeper, 100)).toMatchObject({ says: ["granted 0"], next: 3_000 })
  return keeper
}

/** The one request of a step. */
const only = (keeper: LeaseKeeper, now: number): LeaseRequest => {
  const { requests } = keeper.step(now)
  expect(requests.length).toBe(1)
  return requests[0]!
}

describe("a keeper of leases", () => {
  it("asks at once for what is wanted, and once", () => {
    const keeper = fresh()
    keeper.want([shard(0), shard(1)], 0)
    expect(keeper.mayBegin(shard(0), 0)).toBeUndefined()
    const { requests, says } = at(keeper, 0)
    expect(says).toEqual(["acquire × 2"])
    expect(at(keeper, 10).says).toEqual([])
    keeper.answered(requests[0]!, [lease(1)], 50)
    expect(at(keeper, 50)).toMatchObject({ says: ["granted 1"], next: 1_050 })
    expect(keeper.mayBegin(shard(1), 50)).toEqual(lease(1))
    // Another holds it; it is asked for again, and at once when that one has let go.
    expect(at(keeper, 1_049).says).toEqual([])
    keeper.hurry([shard(0)], 1_049)
    expect(at(keeper, 1_049).says).toEqual(["acquire × 1"])
  })

  it("counts a lease from when it was asked for, by a clock that may be slow", () => {
    const keeper = holding()
    // 10 s, less a tenth, from 0; and 2 s to finish.
    expect(keeper.mayBegin(shard(0), 6_999)).toEqual(lease(0))
    expect(keeper.mayBegin(shard(0), 7_000)).toBeUndefined()
    expect(keeper.mayFinish(lease(0), 8_999)).toBe(true)
    expect(keeper.mayFinish(lease(0), 9_000)).toBe(false)
    expect(keeper.mayFinish(lease(0, 2), 500)).toBe(false)
  })

  it("renews in time, those that are nearly due along", () => {
    const keeper = holding()
    keeper.want([shard(0), shard(1)], 600)
    keeper.answered(only(keeper, 600), [lease(1)], 610)
    const renewal = only(keeper, 3_000)
    expect(renewal).toMatchObject({ kind: "renew", leases: [lease(0), lease(1)] })
    keeper.answered(renewal, [lease(0), lease(1)], 3_100)
    expect(at(keeper, 3_100)).toMatchObject({ says: [], next: 6_000 })
    expect(keeper.mayBegin(shard(0), 9_999)).toEqual(lease(0))
  })

  it("stops in time when the store is away, says so, and comes back by itself", () => {
    const keeper = holding()
    keeper.answered(only(keeper, 3_000), undefined, 6_000)
    expect(at(keeper, 6_000).next).toBe(7_000)
    const again = keeper.step(7_000)
    expect(again.news).toMatchObject([{ kind: "quiet" }])
    keeper.answered(again.requests[0]!, undefined, 8_500)
    expect(at(keeper, 8_500)).toMatchObject({ says: [], next: 9_000 })
    // What nobody holds any more is asked for anew, as long as it takes.
    const over = at(keeper, 9_000)
    expect(over.says).toEqual(["lost 0", "acquire × 1"])
    keeper.answered(over.requests[0]!, undefined, 12_000)
    const back = only(keeper, 13_000)
    keeper.answered(back, [lease(0, 2)], 13_010)
    expect(at(keeper, 13_010).says).toEqual(["granted 0"])
    expect(keeper.mayFinish(lease(0), 13_010)).toBe(false)
  })

  it("goes on when a renewal succeeds after all", () => {
    const keeper = holding()
    keeper.answered(only(keeper, 3_000), undefined, 6_900)
    expect(at(keeper, 7_000)).toMatchObject({ says: ["quiet 0"], next: 7_900 })
    keeper.answered(only(keeper, 7_900), [lease(0)], 8_000)
    expect(at(keeper, 8_000).says).toEqual(["restored 0"])
    expect(keeper.mayBegin(shard(0), 14_899)).toEqual(lease(0))
  })

  it("stops at once when the lease is another's", () => {
    const keeper = holding()
    keeper.answered(only(keeper, 3_000), [], 3_010)
    expect(at(keeper, 3_010).says).toEqual(["lost 0", "acquire × 1"])
    const other = holding()
    other.fenced(lease(0), 200)
    expect(other.mayBegin(shard(0), 200)).toBeUndefined()
    expect(at(other, 200).says).toEqual(["lost 0", "acquire × 1"])
    // Of a lease that was lost long ago it says nothing of this one.
    const third = holding()
    third.fenced(lease(0, 7), 200)
    expect(at(third, 200).says).toEqual([])
  })

  it("takes no lease whose answer has taken too long, and lets go of it", () => {
    const keeper = fresh()
    keeper.want([shard(0)], 0)
    keeper.answered(only(keeper, 0), [lease(0)], 7_000)
    expect(at(keeper, 7_000).says).toEqual(["release × 1"])
  })

  it("lets go when all has been finished, and asks for it again only when that is known", () => {
    const keeper = holding()
    keeper.want([], 200)
    expect(at(keeper, 200).says).toEqual(["leaving 0"])
    // It takes its time, under a lease that is renewed.
    expect(keeper.mayBegin(shard(0), 200)).toBeUndefined()
    expect(keeper.mayFinish(lease(0), 200)).toBe(true)
    keeper.answered(only(keeper, 3_000), [lease(0)], 3_010)
    keeper.letGo(lease(0), 3_500)
    const release = only(keeper, 3_500)
    expect(release.kind).toBe("release")
    keeper.want([shard(0)], 3_600)
    expect(at(keeper, 3_600).says).toEqual([])
    keeper.answered(release, undefined, 6_500)
    const again = only(keeper, 7_500)
    expect(again.kind).toBe("release")
    keeper.answered(again, [], 7_510)
    expect(at(keeper, 7_510).says).toEqual(["acquire × 1"])
  })

  it("keeps what is wanted again before it was let go", () => {
    const keeper = holding()
    keeper.want([], 200)
    at(keeper, 200)
    keeper.want([shard(0)], 300)
    expect(at(keeper, 300).says).toEqual(["granted 0"])
    expect(keeper.mayBegin(shard(0), 300)).toEqual(lease(0))
  })

  it("gives back what comes when nobody wants it any more", () => {
    const keeper = fresh()
    keeper.want([shard(0)], 0)
    const request = only(keeper, 0)
    keeper.want([], 10)
    keeper.answered(request, [lease(0)], 20)
    expect(at(keeper, 20).says).toEqual(["release × 1"])
  })

  it("asks at once again when it has been told to hurry while the store was saying no", () => {
    const keeper = fresh()
    keeper.want([shard(0), shard(1)], 0)
    const request = only(keeper, 0)
    keeper.hurry([shard(0)], 50)
    expect(at(keeper, 50).says).toEqual([])
    keeper.answered(request, [], 60)
    expect(at(keeper, 60)).toMatchObject({ says: ["acquire × 1"], next: 1_060 })
  })

  it("knows of which shards the store has nothing of its", () => {
    const keeper = fresh()
    expect(keeper.isBack(shard(0))).toBe(true)
    keeper.want([shard(0)], 0)
    const request = only(keeper, 0)
    keeper.want([], 10)
    // It may be given at this moment.
    expect(keeper.isBack(shard(0))).toBe(false)
    keeper.answered(request, [lease(0)], 20)
    expect(keeper.isBack(shard(0))).toBe(false)
    const release = only(keeper, 20)
    expect(keeper.isBack(shard(0))).toBe(false)
    keeper.answered(release, undefined, 30)
    expect(keeper.isBack(shard(0))).toBe(false)
    keeper.answered(only(keeper, 1_030), [], 1_040)
    expect(keeper.isBack(shard(0))).toBe(true)
  })

  it("asks for many in requests of a bounded size", () => {
    const keeper = fresh()
    keeper.want(
      Array.from({ length: 600 }, (_, index) => shard(index)),
      0
    )
    expect(at(keeper, 0).says).toEqual(["acquire × 256", "acquire × 256", "acquire × 88"])
  })
})

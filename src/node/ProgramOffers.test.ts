import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { ActorReporters } from "../api/ActorReporters.ts"
import type { ServedService } from "../api/MeshProgram.ts"
import type { Dispatch } from "../model/Exchange.ts"
import { ServiceName } from "../model/Names.ts"
import { Programs } from "../request/inbound/Programs.ts"
import type { ProgramOffer } from "../schema/ProgramOfferSchema.ts"
import { ProgramOffers } from "./ProgramOffers.ts"

const payments = ServiceName.make("payments")
const dispatch: Dispatch = () => {
  throw new Error("nobody calls here")
}
const served: ServedService = {
  ...{ service: payments, weight: 100, dispatch },
  health: { healthy: true, reason: "ok" }
}

const setUp = (threads = 0) => {
  const programs = new Programs()
  const told: Array<string> = []
  /** What the mesh hears, and whether the plane had the handler then. */
  const line = (all: ReadonlyArray<ProgramOffer>) =>
    all
      .map(({ healthy, id, service }) => {
        const here = programs.get(service, id) === undefined ? "gone" : "here"
        return `${service}/${id} ${healthy ? "well" : "ill"} ${here}`
      })
      .join(", ")
  const offers = new ProgramOffers({
    node: () => "host-a",
    actors: new ActorReporters(),
    programs,
    threads: () => threads,
    mayServe: () => Effect.void,
    tell: (all) => Effect.sync(() => void told.push(line(all))),
    deadline: () => 1
  })
  return { offers, programs, told }
}

describe("ProgramOffers", () => {
  it.scoped("tells all there is at each change, and has the handler before it is told", () =>
    Effect.gen(function* () {
      const { offers, told } = setUp()
      const one = yield* offers.api.offer(served)
      yield* offers.api.offer(served)
      yield* one.setHealth({ healthy: false, reason: "no" })
      expect(told).toEqual([
        "payments/program well here",
        "payments/program well here, payments/program-2 well here",
        "payments/program ill here, payments/program-2 well here"
      ])
      expect(offers.all).toHaveLength(2)
    })
  )

  it.effect("keeps the handler until the mesh has heard that it goes, and gives its id again", () =>
    Effect.gen(function* () {
      const { offers, programs, told } = setUp()
      const scope = yield* Scope.make()
      const one = yield* Scope.extend(offers.api.offer(served), scope)
      yield* Scope.close(scope, Exit.void)
      expect(told.at(-1)).toBe("")
      expect(programs.get(payments, "program")).toBeUndefined()
      yield* one.setHealth({ healthy: true, reason: "too late" })
      expect(told).toHaveLength(2)
      yield* Effect.scoped(offers.api.offer(served))
      expect(told[2]).toBe("payments/program well here")
    })
  )

  it.scoped("makes an id of its own for what is called by it, where the node gives others", () =>
    Effect.gen(function* () {
      const { offers, programs } = setUp()
      const api = new ProgramOffers({
        actors: new ActorReporters(),
        ...{ node: () => "host-a", programs, threads: () => 0, deadline: () => 1 },
        mayServe: () => Effect.void,
        tell: () => Effect.void,
        namedId: () => "program-00000000beef"
      })
      const named = { ...served, named: true }
      expect((yield* api.api.offer(named)).endpoint).toBe("program-00000000beef")
      expect((yield* api.api.offer(served)).endpoint).toBe("program")
      expect(api.all).toMatchObject([{ named: true }, {}])
      expect((yield* offers.api.offer(named)).endpoint).toBe("program")
      expect(offers.all).not.toMatchObject([{ named: true }])
    })
  )

  it.effect("refuses where calls would come to threads that the program is not in", () =>
    Effect.gen(function* () {
      const { offers } = setUp(2)
      expect(yield* Effect.flip(offers.api.mayServe(payments))).toMatchObject({
        code: "no_plane_here"
      })
    })
  )
})

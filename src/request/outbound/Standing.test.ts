import fc from "fast-check"
import { describe, expect, it } from "vitest"
import {
  endpointView,
  Fixture,
  microtasks,
  payments,
  serviceView
} from "../../testing/OutboundFixture.ts"
import { endpoints, now, type Trouble } from "../../testing/TroubledEndpoints.ts"
import { select } from "./Selection.ts"
import { type Standing, selectedOf, standing } from "./Standing.ts"

const standingsOf = (...troubles: ReadonlyArray<Trouble>): ReadonlyArray<Standing> => {
  const all = endpoints(...troubles)
  const selected = selectedOf(select(all, now))
  return all.map((endpoint) => standing(endpoint, selected, now))
}

/** `ejected until 2000, in use: panic` */
const said = (...troubles: ReadonlyArray<Trouble>) =>
  standingsOf(...troubles).map(({ name, inUse, despite, until }) =>
    [
      name,
      ...(until === undefined ? [] : [`until ${until}`]),
      inUse ? "in use" : "out",
      ...(despite === undefined ? [] : [`despite it: ${despite}`])
    ].join(" ")
  )

const fine: Trouble = {}
const ejected: Trouble = { ejected: 2_000 }

describe("what is in force", () => {
  it.each<readonly [string, ReadonlyArray<Trouble>, ReadonlyArray<string>]>([
    ["an ejection holds", [ejected, fine], ["ejected until 2000 out", "healthy in use"]],
    [
      "of the only endpoint it does not",
      [ejected],
      ["ejected until 2000 in use despite it: panic"]
    ],
    [
      "nor where it would leave too few",
      [ejected, ejected, fine],
      [
        "ejected until 2000 in use despite it: panic",
        "ejected until 2000 in use despite it: panic",
        "healthy in use"
      ]
    ],
    [
      "who was spared is unwell and in use",
      [{ spared: 2_000 }, fine],
      ["unwell until 2000 in use", "healthy in use"]
    ],
    [
      "a circuit holds in a panic too",
      [{ open: 2_000, ...ejected }, ejected],
      ["circuit_open until 2000 out", "ejected until 2000 in use despite it: panic"]
    ],
    [
      "a circuit that is due for its probe gets the next request",
      [{ open: 1_000 }, fine],
      ["probing in use", "healthy in use"]
    ],
    [
      "a broken link, though the node is alive",
      [{ down: true }, fine],
      ["link_down out", "healthy in use"]
    ],
    [
      "with no other in reach the unreachable are tried",
      [{ down: true }, { member: "dead" }, { healthy: false }],
      ["link_down in use despite it: no_other", "dead in use despite it: no_other", "unhealthy out"]
    ],
    [
      "a suspect is in use",
      [{ member: "suspect" }, { draining: true }],
      ["suspect in use", "draining out"]
    ],
    ["our own is never out of reach", [{ member: "dead", local: true }], ["healthy in use"]]
  ])("%s", (_, troubles, expected) => {
    expect(said(...troubles)).toEqual(expected)
  })

  it("agrees with the selection about all that can be wrong", () => {
    const time = fc.option(fc.constantFrom(500, 1_000, 2_000), { nil: 0 })
    const trouble = fc.record({
      healthy: fc.boolean(),
      draining: fc.boolean(),
      local: fc.boolean(),
      down: fc.boolean(),
      member: fc.constantFrom("alive", "suspect", "dead"),
      ejected: time,
      spared: time,
      open: fc.constantFrom(500, 2_000)
    })
    const good = ["healthy", "suspect", "unwell", "probing"]
    const out = ["draining", "unhealthy", "circuit_open"]
    fc.assert(
      fc.property(fc.array(trouble, { maxLength: 10 }), (troubles) => {
        for (const { name, inUse, despite } of standingsOf(...troubles)) {
          // What is held against nobody is in use, and what is in use needs a reason otherwise.
          expect(inUse).toBe(good.includes(name) || despite !== undefined)
          if (out.includes(name)) expect(inUse).toBe(false)
        }
      })
    )
  })
})

describe("the metrics of it", () => {
  const counted = (mesh: Fixture, name: string) => {
    mesh.metrics.collect()
    return mesh.counter(name)
  }

  it("an ejection that is disregarded is told as one, and as in use", () => {
    const only = endpointView("a")
    const mesh = new Fixture({ ejection: { consecutive5xx: 1 }, breaker: "off" }, [only])
    expect(counted(mesh, "skein_service_endpoints")).toEqual({ "healthy true": 1 })
    expect(counted(mesh, "skein_service_panic")).toEqual({})
    mesh.request()
    mesh.last.respond(500)
    expect(mesh.outbound.endpoints(payments)).toMatchObject([
      { standing: "ejected", selected: true, despite: "panic" }
    ])
    expect(counted(mesh, "skein_service_endpoints")).toEqual({ "ejected true": 1 })
    expect(counted(mesh, "skein_service_panic")).toEqual({ "": 1 })
    expect(counted(mesh, "skein_endpoint_in_use")).toEqual({ [only.key]: 1 })
    expect(counted(mesh, "skein_endpoint_info")).toEqual({ [`${only.key} node-a  false`]: 1 })
  })

  it("who is left out is told, and named to callers that find nobody", async () => {
    const mesh = new Fixture({}, [])
    const leftOut = [{ protocol: "tcp" as const, endpoint: endpointView("b") }]
    const sick = endpointView("a", { healthy: false })
    mesh.view.set(new Map([[payments, { ...serviceView([sick]), leftOut }]]))
    expect(counted(mesh, "skein_service_endpoints")).toEqual({
      "unhealthy false": 1,
      "left_out false": 1
    })
    const { receiver } = mesh.request()
    await microtasks()
    expect(receiver.fault?.message).toBe(
      "no endpoint of payments can take a request: of 1 endpoint 1 fails its health check; one more is left out, because node-b says that it is tcp and the mesh uses http"
    )
  })

  it("says nothing more of what has left the mesh", () => {
    const mesh = new Fixture({}, [endpointView("a"), endpointView("b")])
    expect(counted(mesh, "skein_service_endpoints")).toEqual({ "healthy true": 2 })
    mesh.show([endpointView("b", { draining: true })])
    expect(counted(mesh, "skein_service_endpoints")).toEqual({ "draining false": 1 })
    mesh.view.set(new Map())
    mesh.metrics.collect()
    for (const name of [
      "skein_service_endpoints",
      "skein_endpoint_in_use",
      "skein_endpoint_info"
    ]) {
      expect(mesh.metrics.families.get(name)?.cells.size).toBe(0)
    }
  })
})

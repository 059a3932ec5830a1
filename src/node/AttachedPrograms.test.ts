import { describe, expect, it } from "vitest"
import { maxPrograms } from "../model/AttachedProgram.ts"
import { hostCaller, serviceCaller } from "../model/Caller.ts"
import { NodeName, ServiceName } from "../model/Names.ts"
import { type ProgramOffer, ServeRefused } from "../schema/ProgramOfferSchema.ts"
import { AttachedPrograms } from "./AttachedPrograms.ts"

const stock = ServiceName.make("stock")
const bank = ServiceName.make("bank")
const host = hostCaller(NodeName.make("host-a"))

const make = (taken: ReadonlyArray<string> = []) => {
  let last = 0
  return new AttachedPrograms({
    secret: () => `${String(++last).padStart(12, "p")}-secret`,
    taken: () => new Set(taken)
  })
}

const offer = (service: ServiceName, more: Partial<ProgramOffer> = {}): ProgramOffer => ({
  ...{ service, id: "program", weight: 100, healthy: true, reason: "it is served" },
  ...more
})

const refusedBy = (service: ServiceName) =>
  new ServeRefused({ code: "too_many", message: "no", service, node: "host-a" })

const attach = (programs: AttachedPrograms, name = "shop") => {
  const one = programs.attach({ name }, "unix:/p", host, 1_000)
  if (one === undefined) throw new Error("not attached")
  return one
}

const all = () => undefined

describe("attached programs", () => {
  it("serve under ids of the node's, which one that comes back has again", () => {
    const programs = make(["program"])
    const [one, two] = [attach(programs), attach(programs)]
    programs.serve(one.id, [offer(stock)], all)
    programs.serve(two.id, [offer(stock), offer(bank, { weight: 7 })], all)
    const served = () => programs.offers().map(({ at, id, service }) => [service, id, at?.program])
    expect(served()).toEqual([
      [stock, "program-2", one.id],
      [stock, "program-3", two.id],
      [bank, "program-2", two.id]
    ])
    programs.detach(one.id)
    expect(served()).toEqual([
      [stock, "program-3", two.id],
      [bank, "program-2", two.id]
    ])
    const three = attach(programs)
    programs.serve(three.id, [offer(stock)], all)
    expect(programs.offers().at(-1)).toMatchObject({
      ...{ id: "program-2", at: { program: three.id, endpoint: "program" } }
    })
  })

  it("are told as gone, however they go: by themselves, given up, or for one at another address", () => {
    const gone: Array<string> = []
    const programs = new AttachedPrograms({
      secret: () => `${String(gone.length).padStart(12, "p")}-secret`,
      taken: () => new Set(),
      onGone: (id) => gone.push(id)
    })
    const one = attach(programs)
    programs.detach(one.id)
    programs.detach(one.id)
    expect(gone).toEqual([one.id])
    const two = attach(programs)
    const resume = { program: two.id, pass: two.pass }
    const three = programs.attach({ name: "shop", resume }, "unix:/q", host, 1_000)
    expect(gone.slice(1)).toEqual([two.id])
    const later = new AttachedPrograms({
      secret: () => "",
      taken: () => new Set(),
      onGone: (id) => gone.push(id)
    })
    later.restore(programs.all())
    later.giveUp()
    expect(gone.slice(2)).toEqual([three?.id])
  })

  it("serve what is called by name under their own ids, where those are free and such as programs make", () => {
    const programs = make(["program-0123456789ab"])
    const { id } = attach(programs)
    const named = (own: string) => offer(stock, { id: own, named: true })
    const own = "program-00000000beef"
    programs.serve(id, [named(own), named("program-0123456789ab"), named("api")], all)
    expect(programs.offers().map(({ at, id: given }) => [at?.endpoint, given])).toEqual([
      [own, own],
      ["program-0123456789ab", "program"],
      ["api", "program-2"]
    ])
    // It is another's only when it is free again.
    const other = attach(programs)
    programs.serve(other.id, [named(own)], all)
    expect(programs.offers().at(-1)?.id).toBe("program-3")
    // Back at its node, which knew nothing of it, it is what it was.
    const later = make()
    const again = attach(later)
    later.serve(again.id, [named(own)], all)
    expect(later.offers()).toMatchObject([{ id: own }])
  })

  it("serve what is not refused, and are asked only about what is new", () => {
    const programs = make()
    const { id } = attach(programs)
    const asked: Array<string> = []
    const why = (one: ProgramOffer) => {
      asked.push(one.service)
      return one.service === bank ? refusedBy(bank) : undefined
    }
    expect(programs.serve(id, [offer(stock), offer(bank)], why)).toMatchObject([{ service: bank }])
    expect(programs.serve(id, [offer(stock, { healthy: false })], why)).toEqual([])
    expect(asked).toEqual([stock, bank])
    expect(programs.offers()).toMatchObject([{ service: stock, healthy: false }])
    expect(programs.serve("nobody", [offer(stock)], why)).toEqual([])
  })

  it("are unhealthy while no thread reaches them any more", () => {
    const programs = make()
    const { id } = attach(programs)
    programs.serve(id, [offer(stock)], all)
    expect(programs.reach(id, 0, true)).toBe(false)
    expect(programs.reach(id, 1, true)).toBe(false)
    expect(programs.reach(id, 0, false)).toBe(false)
    expect(programs.offers()).toMatchObject([{ healthy: true }])
    expect(programs.reach(id, 1, false)).toBe(true)
    expect(programs.offers()).toMatchObject([
      { healthy: false, reason: "the program does not answer its node" }
    ])
    expect(programs.reach(id, 1, true)).toBe(true)
    expect(programs.offers()).toMatchObject([{ healthy: true }])
    // What a thread that has crashed had says nothing of the program.
    programs.lose(1)
    expect(programs.offers()).toMatchObject([{ healthy: true }])
  })

  it("come back as what they were, by their pass and nothing else", () => {
    const programs = make()
    const one = attach(programs)
    programs.serve(one.id, [offer(stock)], all)
    const ask = (pass: string) => ({ name: "shop", resume: { program: one.id, pass } })
    expect(programs.attach(ask(one.pass), "unix:/p", host, 2_000)).toMatchObject({ id: one.id })
    expect(programs.attach(ask("guessed"), "unix:/p", host, 2_000)?.id).not.toBe(one.id)
    // At another socket it is another: its links would speak for whom the first one grants.
    const orders = serviceCaller(ServiceName.make("orders"))
    const moved = programs.attach(ask(one.pass), "unix:/q", orders, 3_000)
    expect(moved).toMatchObject({ identity: orders, offers: [] })
    expect(moved?.pass).not.toBe(one.pass)
    expect(programs.get(one.id)).toBeUndefined()
  })

  it("outlive the mesh thread they were attached to, if they come back", () => {
    const before = make()
    const [one, two] = [attach(before), attach(before)]
    before.serve(one.id, [offer(stock)], all)
    const after = make()
    after.restore(before.all())
    expect(after.offers()).toMatchObject([{ service: stock, at: { program: one.id } }])
    const { id, pass } = one
    after.attach({ name: "shop", resume: { program: id, pass } }, "unix:/p", host, 5_000)
    expect(after.giveUp()).toBe(true)
    expect(after.all().map((program) => program.id)).toEqual([one.id])
    expect(after.get(two.id)).toBeUndefined()
    expect(after.giveUp()).toBe(false)
  })

  it("are not given up while they are reached by the links they had", () => {
    const before = make()
    const [one, two] = [attach(before), attach(before)]
    before.serve(one.id, [offer(stock)], all)
    const after = make()
    after.restore(before.all())
    after.reach(one.id, 1, true)
    expect(after.giveUp()).toBe(true)
    expect(after.get(two.id)).toBeUndefined()
    expect(after.offers()).toMatchObject([{ service: stock, healthy: true }])
    expect(after.someAreAway).toBe(true)
    after.reach(one.id, 1, false)
    expect(after.giveUp()).toBe(true)
    expect(after.someAreAway).toBe(false)
    expect(after.offers()).toEqual([])
  })

  it("have a limit", () => {
    const programs = make()
    for (let i = 0; i < maxPrograms; i++) attach(programs)
    expect(programs.attach({ name: "more" }, "unix:/p", host, 0)).toBeUndefined()
    expect(programs.known()).toHaveLength(maxPrograms)
  })
})

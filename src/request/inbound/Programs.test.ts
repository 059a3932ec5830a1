import { describe, expect, it } from "vitest"
import { hostCaller } from "../../model/Caller.ts"
import type { Dispatch } from "../../model/Exchange.ts"
import { NodeName } from "../../model/Names.ts"
import { maxProgramLinks, type ProgramLink, Programs } from "./Programs.ts"

const identity = hostCaller(NodeName.make("host-a"))
const program = (id: string) => ({ id, pass: `pass of ${id}`, identity })
const nobody: Dispatch = () => {
  throw new Error("not called here")
}

class Link implements ProgramLink {
  readonly open: Dispatch | undefined
  isAvailable = true
  aborted: Error | undefined
  constructor(calls = true) {
    this.open = calls ? (call, receiver) => nobody(call, receiver) : undefined
  }
  readonly available = (): boolean => this.isAvailable
  readonly drain = (): void => {
    this.isAvailable = false
  }
  readonly abort = (error: Error): void => {
    this.aborted = error
  }
}

const watched = () => {
  const programs = new Programs()
  const reached: Array<string> = []
  programs.onReach = (id, is) => reached.push(`${id} ${is}`)
  programs.setAttached([program("a"), program("b")])
  return { programs, reached }
}

describe("attached programs in a thread", () => {
  it("are known by their pass, for as long as they are attached", () => {
    const { programs } = watched()
    expect(programs.find("pass of a")?.id).toBe("a")
    expect(programs.find("pass of nobody")).toBeUndefined()
    programs.setAttached([program("b")])
    expect(programs.find("pass of a")).toBeUndefined()
  })

  it("are reached by the links on which the node calls, and by one that takes calls", () => {
    const { programs, reached } = watched()
    const [old, fresh, caller] = [new Link(), new Link(), new Link(false)]
    const noCalls = programs.link("a", caller)
    expect(programs.open("a")).toBeUndefined()
    const oldGone = programs.link("a", old)
    expect(programs.open("a")).toBe(old.open)
    const freshGone = programs.link("a", fresh)
    old.drain()
    expect(programs.open("a")).toBe(fresh.open)
    oldGone()
    freshGone()
    freshGone()
    noCalls()
    expect(programs.open("a")).toBeUndefined()
    expect(reached).toEqual(["a true", "a false"])
  })

  it("are said anew, those that are reached, to a mesh thread that has begun anew", () => {
    const { programs, reached } = watched()
    programs.link("a", new Link())
    programs.link("b", new Link(false))
    reached.length = 0
    programs.sayReached()
    expect(reached).toEqual(["a true"])
  })

  it("have their links ended when they are not attached any more", () => {
    const { programs } = watched()
    const [gone, stays] = [new Link(), new Link()]
    programs.link("a", gone)
    programs.link("b", stays)
    programs.setAttached([program("b")])
    expect(gone.aborted?.message).toBe("the program has gone")
    expect(stays.aborted).toBeUndefined()
  })

  it("have so many links and no more", () => {
    const { programs } = watched()
    for (let i = 0; i < maxProgramLinks; i++) {
      expect(programs.mayLink("a")).toBe(true)
      programs.link("a", new Link())
    }
    expect(programs.mayLink("a")).toBe(false)
    expect(programs.mayLink("b")).toBe(true)
  })
})

import { describe, expect, test } from "vitest"
import { baseline, readCommandLine, WrongUsage } from "./Options.ts"
import { wantedPeers } from "./peers/Peers.ts"
import { casesOf } from "./Question.ts"
import { http } from "./questions/Http.ts"
import { idle } from "./questions/Idle.ts"
import { policy } from "./questions/Policy.ts"
import { soak } from "./questions/Soak.ts"
import { startup } from "./questions/Startup.ts"

const options = (...args: ReadonlyArray<string>) => readCommandLine(args).options(http)

describe("the command line", () => {
  test("nothing asked lists the questions", () => {
    expect(readCommandLine([])).toMatchObject({ question: undefined, compare: undefined })
  })

  test("--save and --compare mean the kept baseline unless a file is named", () => {
    expect(readCommandLine(["http", "--save"]).save).toBe(baseline)
    expect(readCommandLine(["http", "--save", "--quick"]).save).toBe(baseline)
    expect(readCommandLine(["http", "--save", "x.json"]).save).toBe("x.json")
  })

  test("a comparison without a question is about http", () => {
    expect(readCommandLine(["--compare", import.meta.filename]).question).toBe("http")
  })

  test("--quick is short, and what is said beats it", () => {
    expect(options("http", "--quick")).toMatchObject({ rounds: 2, seconds: 1, minutes: 2 })
    expect(options("http", "--quick", "--rounds", "4")).toMatchObject({ rounds: 4, seconds: 1 })
    expect(options("http")).toMatchObject(http.defaults)
  })

  test("what is shipped is measured unless the sources are asked for", () => {
    expect(options("http").built).toBe(true)
    expect(options("http", "--sources").built).toBe(false)
  })

  test("what --quick means is the question's to say", () => {
    const question = { ...http, quick: { rounds: 3, seconds: 2 } }
    expect(readCommandLine(["http", "--quick"]).options(question)).toMatchObject(question.quick)
    expect(readCommandLine(["http"]).options(question)).toMatchObject(http.defaults)
  })

  test("numbers of threads are kept in the order in which they were said", () => {
    expect(options("http").threads).toBeUndefined()
    expect(options("http", "--threads", "1,4,2")).toMatchObject({
      threads: [1, 4, 2],
      peerThreads: undefined
    })
    expect(options("http", "--threads", "2", "--peer-threads", "1,2")).toMatchObject({
      threads: [2],
      peerThreads: [1, 2]
    })
  })

  test.each([
    [policy, ["--threads", "1"], "policy runs no node with threads"],
    [soak, ["--threads", "1,2"], "soak runs with one number of threads"],
    [soak, ["--peer-threads", "2"], "soak measures no peers with threads"],
    [startup, ["--peer-threads", "2"], "startup measures no peers with threads"]
  ])("threads that a question has no use for are refused", (question, args, why) => {
    const read = () => readCommandLine([question.name, ...args]).options(question)
    expect(read).toThrow(WrongUsage)
    expect(read).toThrow(why)
  })

  test("of how many nodes is asked only where that matters", () => {
    const nodes = (...args: ReadonlyArray<string>) =>
      readCommandLine(["idle", ...args]).options(idle).nodes
    expect(nodes()).toEqual(idle.defaults.nodes)
    expect(nodes("--quick")).toEqual(idle.quick?.nodes)
    expect(nodes("--quick", "--nodes", "50,3")).toEqual([50, 3])
    expect(options("http").nodes).toEqual([])
    expect(() => options("http", "--nodes", "3")).toThrow("http is not asked of a number of nodes")
  })

  test("one number of threads is as good as none to a question that takes one", () => {
    expect(readCommandLine(["soak", "--threads", "2"]).options(soak).threads).toEqual([2])
  })

  test.each([
    [["http", "--threads", "0"], "--threads 0: 0 is not a whole number from 1 to 64"],
    [["http", "--threads", "1,auto"], "auto is not a whole number"],
    [["http", "--threads", "1,"], "not a whole number"],
    [["http", "--threads", "65"], "from 1 to 64"],
    [["http", "--threads", "2,2"], "stands there twice"],
    [["http", "--peer-threads", "1.5"], "--peer-threads 1.5"],
    [["idle", "--nodes", "2"], "from 3 to 200"],
    [["idle", "--nodes", "201"], "from 3 to 200"],
    [["idle", "--nodes", "3,3"], "stands there twice"],
    [["http", "--rounds", "0"], "--rounds 0"],
    [["http", "--rounds", "1.5"], "not a whole number"],
    [["http", "--seconds", "x"], "--seconds x"],
    [["http", "--peers", "squid"], "there are skein, haproxy"],
    [["http", "bulk"], "one question at a time"],
    [["http", "--nonsense"], "--nonsense"],
    [["--compare", "/nowhere.json"], "there is no such file"]
  ])("%j is refused", (args, why) => {
    expect(() => readCommandLine(args)).toThrow(WrongUsage)
    expect(() => readCommandLine(args)).toThrow(why)
  })
})

describe("what is asked for", () => {
  test("a case that is not the question's is told with those that are", () => {
    expect(casesOf([{ name: "a" }, { name: "b" }], ["b"])).toEqual([{ name: "b" }])
    expect(() => casesOf([{ name: "a" }], ["x"])).toThrow("there are a")
  })

  test("Skein and its reference always run", () => {
    const all = ["direct", "skein", "haproxy", "nginx"] as const
    expect(wantedPeers(all, undefined)).toEqual(all)
    expect(wantedPeers(all, ["nginx"])).toEqual(["skein", "haproxy", "nginx"])
    expect(wantedPeers(all, ["skein"], ["direct"])).toEqual(["direct", "skein", "haproxy"])
  })
})

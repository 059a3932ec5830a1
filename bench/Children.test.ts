/** That no child ends without its reason, and no run without who ended it. */
import { describe, expect, test } from "vitest"
import { ChildEnded, commandText, describeEnd } from "../test/fixtures/ChildEnd.ts"
import { endedUnasked, run, runWell, start, until } from "../test/fixtures/Processes.ts"
import { Interrupted, unlessInterrupted } from "./Interruption.ts"
import { runOpenLoop } from "./load/OpenLoop.ts"

const node = (script: string): readonly [string, ReadonlyArray<string>] => [
  process.execPath,
  ["-e", script]
]

const failure = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work
  } catch (cause) {
    if (cause instanceof ChildEnded) return cause.message
    throw cause
  }
  throw new Error("it went well")
}

describe("a child that ends", () => {
  test("by an exit code: the code, its last words, how to repeat it", async () => {
    const [command, args] = node("console.error('the reason'); process.exit(3)")
    const text = await failure(runWell(command, args, { what: "the tool", env: { A: "b c" } }))
    expect(text).toBe(
      `the tool ended with exit code 3\n  It said:\n    the reason\n  By hand: A='b c' ${commandText(command, args)}`
    )
  })

  test("by a signal: which, though it said nothing, and where that may come from", async () => {
    const text = await failure(runWell(...node("process.kill(process.pid, 'SIGKILL')")))
    expect(text).toMatch(/ was ended by SIGKILL\n {2}It said nothing\.\n.*for want of memory/)
  })

  test("while it is waited for: at once, and not when the time is over", async () => {
    const running = start(...node("console.log('gone'); process.exit(4)"), { what: "the server" })
    const text = await failure(until("an answer", () => undefined, 600, [running]))
    expect(text).toMatch(/^the server ended with exit code 4\n {2}It said:\n {4}gone\n/)
  })

  test("before it began", async () => {
    const running = start("/no/such/program", [], { what: "the server" })
    const text = await failure(until("an answer", () => undefined, 600, [running]))
    expect(text).toMatch(/^the server did not start: spawn \/no\/such\/program ENOENT/)
  })

  test("says no more than its last lines", () => {
    const output = Array.from({ length: 50 }, (_, line) => `line ${line}`).join("\n")
    const end = { what: "it", code: 1, signal: null, output, command: "it" }
    expect(describeEnd(end)).toMatch(/It said, at the end:\n {4}line 30\n/)
  })

  test("on its own is remembered for whoever finds it gone; one that was asked to is not", async () => {
    const crashed = start(...node("console.log('no more'); process.exit(5)"), { what: "a proxy" })
    const stopped = start(...node("setInterval(() => undefined, 1000)"), { what: "another" })
    await stopped.stop("SIGKILL")
    await crashed.exited
    await until("the end is known", () => endedUnasked().find(({ what }) => what === "a proxy"))
    expect(endedUnasked().filter(({ what }) => what === "another")).toEqual([])
    expect(endedUnasked().at(-1)).toMatchObject({ code: 5, output: "no more\n" })
  })

  test("well is not told of", async () => {
    expect((await runWell(...node("console.log(1)"))).stdout).toBe("1\n")
    const { code, end } = await run(...node("process.exit(2)"))
    expect([code, end.code]).toEqual([2, 2])
  })

  test("the open loop names whom it was to ask, and what is wrong", async () => {
    const settings = { host: "x", rate: 10, seconds: 1, warmUpSeconds: 0, connections: 1 }
    const mix = [{ method: "GET", path: "/", bodyBytes: 0 }] as const
    const text = await failure(runOpenLoop({ ...settings, mix, entry: "127.0.0.1:99999" }))
    expect(text).toMatch(/^the open loop to 127\.0\.0\.1:99999 ended with exit code 1\n {2}It said/)
    expect(text).toMatch(/ERR_SOCKET_BAD_PORT/)
    expect(text).toMatch(/By hand: OPEN_LOOP='\{/)
  })
})

describe("a run that somebody ends", () => {
  test.each([
    ["SIGTERM", 143],
    ["SIGINT", 130],
    ["SIGHUP", 129]
  ] as const)("by %s says so, whatever its work makes of that", async (signal, exitCode) => {
    const work = Promise.withResolvers<never>()
    const asked = unlessInterrupted(work.promise)
    process.emit(signal, signal)
    work.reject(new Error("the open loop was killed under it"))
    const told = await asked.catch((cause: unknown) => cause)
    expect(told).toBeInstanceOf(Interrupted)
    expect(told).toMatchObject({ exitCode })
    expect(String(told)).toMatch(new RegExp(`ended by ${signal} after 0 s, without a result`))
    expect(/time limit/.test(String(told))).toBe(signal === "SIGTERM")
    expect(process.listenerCount(signal)).toBe(0)
  })

  test("and one that ends by itself gives what it found", async () => {
    expect(await unlessInterrupted(Promise.resolve(1))).toBe(1)
    await expect(unlessInterrupted(Promise.reject(new Error("no")))).rejects.toThrow("no")
  })
})

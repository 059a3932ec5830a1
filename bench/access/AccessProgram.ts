/**
 * Nanoseconds that one decision takes under so many rules, as a request thread takes it, and by going
 * through all of them. A process per measurement: what the compiler learnt from one set of rules
 * cannot speed up or slow down another. Arguments: the variant's name, and seconds to measure.
 */
import { type Caller, parseCaller } from "../../src/model/Caller.ts"
import { AccessBook } from "../../src/request/access/AccessBook.ts"
import { httpCall } from "../../src/testing/InboundFixture.ts"
import { decideNaively } from "../../src/testing/NaiveAccess.ts"
import { type AccessVariant, isVariant, variants } from "./AccessVariants.ts"
import { LinearScan } from "./LinearScan.ts"

const [name = "", seconds = "1"] = process.argv.slice(2)
if (!isVariant(name)) throw new Error(`${name} is not one of ${Object.keys(variants).join(", ")}`)
const variant: AccessVariant = variants[name]
const settings = variant.settings()

const callers = new Map<string, Caller>()
const callerOf = (text: string): Caller => {
  const caller = callers.get(text) ?? parseCaller(text)
  if (caller === undefined) throw new Error(`${text} is no caller`)
  callers.set(text, caller)
  return caller
}

/** What clients send. */
const fields = ["user-agent", "curl/8", "accept", "*/*", "via", "1.1 host-a", "x-request-id", "17"]
const asked = variant.asked.map(({ caller, method, target }) => ({
  caller: callerOf(caller),
  call: httpCall({ method, target, fields }, { identity: callerOf(caller) })
}))

const book = new AccessBook(() => "host-b")
book.set(settings)
const scan = new LinearScan(settings)

/** All find the same, or nothing here is worth measuring. */
let allowed = 0
for (const { call, caller } of asked) {
  const verdict = book.decide(call, 8081)
  const naive = decideNaively(settings, { call, caller, host: "host-b", port: 8081 })
  const may = verdict?.decision !== "deny"
  const same = verdict === undefined || verdict.rule === naive.rule
  if (!same || call.head === undefined || scan.allows(caller, call.head) !== may) {
    throw new Error(`${verdict?.rule} is not ${naive.rule}`)
  }
  if (may) allowed++
}
if (name.includes("1000") && (allowed === 0 || allowed === asked.length)) {
  throw new Error(`${allowed} of ${asked.length} are allowed: what is asked says nothing`)
}

let kept = 0
const compiled = (index: number): void => {
  if (book.decide(asked[index]!.call, 8081)?.decision !== "deny") kept++
}
const linear = (index: number): void => {
  const { call, caller } = asked[index]!
  if (scan.allows(caller, call.head!)) kept++
}

/** Of processor time: what else runs on the machine is no part of it. */
const measure = (duration: number, decide: (index: number) => void): number => {
  let count = 0
  let spent = 0
  const began = process.cpuUsage()
  while (spent < duration * 1e6) {
    for (let round = 0; round < 16; round++) {
      for (let i = 0; i < asked.length; i++) decide(i)
    }
    count += 16 * asked.length
    const { system, user } = process.cpuUsage(began)
    spent = system + user
  }
  return (spent * 1_000) / count
}

const time = Number(seconds)
measure(time / 4, compiled)
measure(time / 4, linear)
const nanoseconds = measure(time, compiled)
const scanned = measure(time, linear)
if (kept === 0) throw new Error("nothing was measured")
process.stdout.write(`${JSON.stringify({ nanoseconds, scan: scanned })}\n`)

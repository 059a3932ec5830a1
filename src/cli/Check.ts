/** One line of `skein doctor`: what was looked at, how it is, and what to do about it. */
import { plainLine } from "../model/PlainLine.ts"
import { type Tone, tinted } from "./Table.ts"

export interface Check {
  readonly name: string
  /** `fail` makes the command fail; `warn` is for what works now but may not for long. */
  readonly state: "ok" | "warn" | "fail"
  readonly detail: string
  /** Null when there is nothing to do. */
  readonly hint: string | null
}

export interface CheckGroup {
  readonly name: string
  readonly checks: ReadonlyArray<Check>
}

export const ok = (name: string, detail: string): Check => ({
  name,
  state: "ok",
  detail,
  hint: null
})

export const warn = (name: string, detail: string, hint: string): Check => ({
  name,
  state: "warn",
  detail,
  hint
})

export const fail = (name: string, detail: string, hint: string): Check => ({
  name,
  state: "fail",
  detail,
  hint
})

const signs: Record<Check["state"], readonly [sign: string, tone: Tone]> = {
  ok: ["√", "good"],
  warn: ["‼", "warn"],
  fail: ["×", "bad"]
}

export const failures = (groups: ReadonlyArray<CheckGroup>): number =>
  groups.flatMap(({ checks }) => checks).filter(({ state }) => state === "fail").length

export const renderChecks = (groups: ReadonlyArray<CheckGroup>, colour: boolean): string => {
  const lines = groups.flatMap(({ name, checks }) => [
    tinted(name, "head", colour),
    ...checks.flatMap(({ state, name, detail, hint }) => [
      `${tinted(signs[state][0], signs[state][1], colour)} ${plainLine(`${name}: ${detail}`)}`,
      ...(hint === null ? [] : [`    ${hint}`])
    ]),
    ""
  ])
  const count = failures(groups)
  const verdict =
    count === 0 ? "No failures." : `${count} failure${count === 1 ? "" : "s"}: see × above.`
  return `${[...lines, verdict].join("\n")}\n`
}

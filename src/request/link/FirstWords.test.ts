import { describe, expect, it } from "@effect/vitest"
import { busyStatus } from "../../model/HandshakeWords.ts"
import { FirstWords } from "./FirstWords.ts"

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1")
const bytes = (words: string): Buffer => Buffer.from(words, "latin1")
const line = (words: string): string => `${String.fromCharCode(words.length + 1)}${words}\n`

const greeting = line("/multistream/1.0.0")
const ours = line("/skein/noise/3")
const resumes = line("/skein/resume/1")
const other = line("/skein/noise/4")
const no = line("na")

/** What is answered to each, and what it comes to at last. */
const told = (...pieces: ReadonlyArray<string>) => {
  const words = new FirstWords()
  const taken = pieces.map((piece) => words.take(bytes(piece)))
  return {
    words,
    answers: taken.map(({ reply }) => text(reply)).join(""),
    come: taken.map(({ asks }) => asks)
  }
}

describe("the first words of whoever dials by libp2p", () => {
  it("ask for the handshake: all of it is handed on as it came", () => {
    const { answers, come, words } = told(`${greeting}${ours}and more`)
    expect([answers, come, text(words.unanswered)]).toEqual([
      "",
      ["handshake"],
      `${greeting}${ours}and more`
    ])
  })

  it("ask for a connection to be resumed, which is for the mesh thread as well", () => {
    const { answers, come, words } = told(`${greeting}${resumes}and more`)
    expect([answers, come, text(words.unanswered)]).toEqual([
      "",
      ["handshake"],
      `${greeting}${resumes}and more`
    ])
    expect(text(words.busy(500))).toBe(`${greeting}${resumes}${text(busyStatus(500))}`)
  })

  it("may come byte by byte", () => {
    const { answers, come, words } = told(...`${greeting}${ours}`)
    expect([answers, come.slice(0, -1).every((it) => it === undefined), come.at(-1)]).toEqual([
      "",
      true,
      "handshake"
    ])
    expect(text(words.unanswered)).toBe(`${greeting}${ours}`)
  })

  it("of a later version, that asks for its own handshake first, end in the one of this version", () => {
    const { answers, come, words } = told(`${greeting}${other}`, `${line("/x")}${ours}!`)
    expect([answers, come]).toEqual([`${greeting}${no}${no}`, [undefined, "handshake"]])
    // It was greeted: what is handed on would be answered by a second greeting else.
    expect(text(words.unanswered)).toBe(`${ours}!`)
  })

  it("are answered as a whole when it is to come back", () => {
    expect(text(told(`${greeting}${ours}`).words.busy(500))).toBe(
      `${greeting}${ours}${text(busyStatus(500))}`
    )
    expect(text(told(`${greeting}${other}${ours}`).words.busy(500))).toBe(
      `${ours}${text(busyStatus(500))}`
    )
  })

  it("are strange when they are none, or when they go on", () => {
    for (const words of [
      "\x13/multistream/2.0.0\n",
      "\x13/multistream/1.0.0!",
      greeting + greeting,
      `${greeting}\0`,
      `${greeting}\xff`,
      `${greeting}${other.slice(0, -1)}!`,
      `${greeting}${line("ls")}`
    ]) {
      expect([words, told(words).come]).toEqual([words, ["nothing"]])
    }
    const { answers, come } = told(greeting + other.repeat(4), other, ours)
    expect([answers, come]).toEqual([
      `${greeting}${no.repeat(4)}`,
      [undefined, "nothing", "nothing"]
    ])
  })

  it("are looked at for no more than they are good for, however much is said at once", () => {
    const words = new FirstWords()
    const { asks, reply } = words.take(bytes(greeting.repeat(100_000)))
    expect([asks, text(reply)]).toEqual(["nothing", ""])
    expect(words.unanswered.length).toBe(0)
  })
})

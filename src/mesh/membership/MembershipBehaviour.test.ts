import { expect, test } from "vitest"
import { NodeName, PeerKey } from "../../model/Names.ts"
import { membershipBehaviour } from "./MembershipBehaviour.ts"
import type { MembershipAction, MembershipMessage, PingAnswer } from "./MembershipMessages.ts"
import { defaultMembershipOptions } from "./MembershipOptions.ts"
import {
  type MembershipState,
  makeMembershipState,
  recoverMembership,
  watchedFrom
} from "./MembershipState.ts"
import { memberOf } from "./MemberTable.ts"
import { helpersFor } from "./ProbeHelpers.ts"
import { defaultSuspicion, minTimeout } from "./Suspicion.ts"

const [self, a, b, c, d, e] = ["1", "2", "3", "4", "5", "6"].map((n) =>
  PeerKey.make(`12D3KooWPeerPeerPeer${n}`)
)
const epoch = 1_800_000_000_000
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

/** One node on a clock of its own; what it says is JSON. */
class Run {
  now = 0
  state: MembershipState = makeMembershipState(self!)
  actions: ReadonlyArray<MembershipAction> = []
  /** What ticks had it do, so far. */
  readonly ticked: Array<MembershipAction> = []
  readonly #step = membershipBehaviour(defaultMembershipOptions, (statement) =>
    new TextEncoder().encode(JSON.stringify(statement))
  )

  constructor(...others: ReadonlyArray<PeerKey>) {
    this.tell({
      _tag: "Records",
      records: [self!, ...others].map((peer) => ({
        peer,
        epoch,
        left: false,
        name: NodeName.make("host")
      }))
    })
  }

  tell(message: MembershipMessage): ReadonlyArray<MembershipAction> {
    const moment = { now: this.now, wall: epoch + this.now, random: () => 0.5 }
    const [state, actions] = this.#step(this.state, message, moment)
    this.state = state
    this.actions = actions
    return actions
  }

  /** Ticks until a ping to this peer goes out. All others answer theirs. */
  ping(peer: PeerKey): Extract<MembershipAction, { readonly _tag: "Ping" }> {
    for (let n = 0; n < 100; n++) {
      this.now += defaultMembershipOptions.tick
      this.ticked.push(...this.tell({ _tag: "Tick" }))
      const pings = this.actions.filter((action) => action._tag === "Ping")
      const wanted = pings.find((ping) => ping.peer === peer)
      for (const other of pings) {
        if (other === wanted) continue
        const { probe } = other
        this.tell({ _tag: "Answered", peer: other.peer, probe, incarnation: epoch })
      }
      if (wanted !== undefined) return wanted
    }
    throw new Error(`no ping to ${peer} within 20 s`)
  }

  /** A probe of this peer that neither it nor any helper answers. */
  fail(peer: PeerKey, answered = 2): ReadonlyArray<MembershipAction> {
    const { probe } = this.ping(peer)
    const asked = this.tell({ _tag: "Unanswered", peer, probe })
    if (asked[0]?._tag !== "AskHelpers") return asked
    const missedBy = asked[0].helpers.slice(0, answered)
    return this.tell({ _tag: "Helped", peer, probe, reachedBy: [], missedBy })
  }

  /** Ticks until somebody dead is tried. */
  nextDead() {
    for (let n = 0; n < 100; n++) {
      this.now += defaultMembershipOptions.tick
      for (const action of this.tell({ _tag: "Tick" })) {
        if (action._tag !== "Ping") continue
        if (this.stateOf(action.peer) === "dead") return action
        const { peer, probe } = action
        this.tell({ _tag: "Answered", peer, probe, incarnation: epoch })
      }
    }
    throw new Error("nobody dead was tried within 20 s")
  }

  stateOf(peer: PeerKey) {
    return memberOf(this.state, peer)?.state
  }
}

const said = (actions: ReadonlyArray<MembershipAction>) =>
  actions.flatMap((action) => (action._tag === "Say" ? [JSON.parse(text(action.bytes))] : []))

/** By this node and another one that watches it. */
const makeDead = (run: Run, peer: PeerKey, by: PeerKey) => {
  run.fail(peer)
  const statement = { kind: "suspect", subject: peer, incarnation: epoch, by } as const
  run.tell({ _tag: "Heard", statement, bytes: new Uint8Array([1]) })
  for (let n = 0; n < 60 && run.stateOf(peer) !== "dead"; n++) run.fail(peer)
  expect(run.stateOf(peer)).toBe("dead")
}

test("is late when a tick comes later than it was meant to, however long ago the last one was", () => {
  const run = new Run(a!, b!, c!)
  run.tell({ _tag: "Tick", dueAt: 0 })
  run.now = 5_000
  run.tell({ _tag: "Tick", dueAt: 5_000 })
  expect([run.state.awareness, run.state.lateUntil > run.now]).toEqual([0, false])
  run.now = 8_000
  run.tell({ _tag: "Tick", dueAt: 6_000 })
  expect([run.state.awareness, run.state.lateUntil]).toEqual([4, 12_000])
})

test("asks others before it accuses, and accuses when they reach nobody either", () => {
  const run = new Run(a!, b!, c!)
  const { probe, timeout, accused } = run.ping(a!)
  expect({ timeout, accused }).toEqual({ timeout: 500, accused: undefined })
  const [asked] = run.tell({ _tag: "Unanswered", peer: a!, probe })
  expect(asked).toMatchObject({ _tag: "AskHelpers", peer: a, probe, timeout: 1_000 })
  expect(asked?._tag === "AskHelpers" && new Set(asked.helpers)).toEqual(new Set([b, c]))
  const actions = run.tell({ _tag: "Helped", peer: a!, probe, reachedBy: [], missedBy: [b!, c!] })
  expect(said(actions)).toMatchObject([{ kind: "suspect", subject: a, incarnation: epoch }])
  expect(run.stateOf(a!)).toBe("suspect")
  expect(run.state.awareness).toBe(0)
})

test("does not accuse whose answer comes while others are asked", () => {
  const run = new Run(a!, b!, c!)
  const { probe } = run.ping(a!)
  run.tell({ _tag: "Unanswered", peer: a!, probe })
  run.tell({ _tag: "Answered", peer: a!, probe, incarnation: epoch })
  expect(run.tell({ _tag: "Helped", peer: a!, probe, reachedBy: [], missedBy: [b!, c!] })).toEqual(
    []
  )
  expect(run.stateOf(a!)).toBe("alive")
})

test("does not accuse whom others reach, and doubts itself", () => {
  const run = new Run(a!, b!, c!)
  const { probe } = run.ping(a!)
  run.tell({ _tag: "Unanswered", peer: a!, probe })
  expect(run.tell({ _tag: "Helped", peer: a!, probe, reachedBy: [b!], missedBy: [] })).toEqual([])
  expect(run.stateOf(a!)).toBe("alive")
  expect(run.state.awareness).toBe(1)
  expect(run.tell({ _tag: "LinkDown", peer: b! })).toMatchObject([{ timeout: 1_000 }])
})

/** Another one accuses this peer, which does not answer here either. */
const seconding = (run: Run, peer: PeerKey, by: PeerKey) => {
  const statement = { kind: "suspect", subject: peer, incarnation: epoch, by } as const
  const [ping] = run.tell({ _tag: "Heard", statement, bytes: new Uint8Array([1]) })
  const probe = ping?._tag === "Ping" ? ping.probe : 0
  return run.tell({ _tag: "Unanswered", peer, probe })
}

test("agrees with whoever has accused by its own eyes, in its turn, and asks nobody", () => {
  const run = new Run(a!, b!, c!, d!)
  expect(seconding(run, a!, b!)).toEqual([])
  const { probe } = run.ping(a!)
  const actions = run.tell({ _tag: "Unanswered", peer: a!, probe })
  expect(actions).toHaveLength(1)
  expect(said(actions)).toMatchObject([{ kind: "suspect", subject: a, incarnation: epoch }])
  expect(memberOf(run.state, a!)?.suspicion?.accusers.size).toBe(2)
  const least = minTimeout(defaultSuspicion, 5)
  expect(run.now).toBeGreaterThanOrEqual(0.25 * least)
  expect(run.now).toBeLessThanOrEqual(0.55 * least)
})

test("says nothing in its turn of one that has denied, and begins with it later for that", () => {
  const run = new Run(a!, b!, c!, d!)
  seconding(run, a!, b!)
  const statement = { kind: "alive", subject: a!, incarnation: epoch + 1 } as const
  run.tell({ _tag: "Heard", statement, bytes: new Uint8Array([2]) })
  while (run.now < 20_000) if (said(run.fail(a!)).length > 0) break
  // Twice as long as between two accusations that stand.
  expect(run.now).toBeGreaterThanOrEqual(2 * defaultMembershipOptions.repeat)
  expect(run.now).toBeLessThanOrEqual(2 * defaultMembershipOptions.repeat + 2_000)
})

test("asks others once, and not again with every ping while its accusation stands", () => {
  const run = new Run(a!, b!, c!, d!)
  const asked = () => {
    const { probe } = run.ping(a!)
    const actions = run.tell({ _tag: "Unanswered", peer: a!, probe })
    run.tell({ _tag: "Helped", peer: a!, probe, reachedBy: [], missedBy: [b!, c!, d!] })
    return actions.filter(({ _tag }) => _tag === "AskHelpers").length
  }
  expect([asked(), asked(), asked()]).toEqual([1, 0, 0])
})

test("believes a late answer of one that was accused meanwhile, and passes it on", () => {
  const run = new Run(a!, b!, c!, d!)
  const accusation = { kind: "suspect", subject: a!, incarnation: epoch, by: b! } as const
  const heard = { _tag: "Heard", statement: accusation, bytes: new Uint8Array([1]) } as const
  const [ping] = run.tell(heard)
  const probe = ping?._tag === "Ping" ? ping.probe : 0
  run.tell({ _tag: "Unanswered", peer: a!, probe })
  const bytes = new Uint8Array([2])
  const statement = { kind: "alive", subject: a!, incarnation: epoch + 1 } as const
  const answer = { _tag: "Answered", peer: a!, probe, incarnation: epoch + 1 } as const
  expect(run.tell({ ...answer, denial: { statement, bytes } })).toEqual([{ _tag: "Say", bytes }])
  expect(memberOf(run.state, a!)?.state).toBe("alive")
})

test("asks others than who said that they reach it, as long as it does not answer itself", () => {
  const run = new Run(a!, b!, c!, d!, e!)
  const asked = (reachedBy: ReadonlyArray<PeerKey>) => {
    const { probe } = run.ping(a!)
    const [ask] = run.tell({ _tag: "Unanswered", peer: a!, probe })
    const helpers = ask?._tag === "AskHelpers" ? ask.helpers : []
    const told = run.tell({ _tag: "Helped", peer: a!, probe, reachedBy, missedBy: [b!] })
    return { helpers, accuses: said(told).length > 0 }
  }
  // Whoever lies, of three that are asked of four: it is asked, and not the next time.
  const { probe } = run.ping(a!)
  const [ask] = run.tell({ _tag: "Unanswered", peer: a!, probe })
  const liar = ask?._tag === "AskHelpers" ? ask.helpers[0] : undefined
  run.tell({ _tag: "Helped", peer: a!, probe, reachedBy: [liar!], missedBy: [] })
  const { accuses, helpers } = asked([])
  expect(helpers).not.toContain(liar)
  expect(helpers.length).toBeGreaterThan(0)
  expect(accuses).toBe(true)
})

test("asks who said that they reach it where there is nobody else to ask", () => {
  const run = new Run(a!, b!)
  for (let i = 0; i < 3; i++) {
    const { probe } = run.ping(a!)
    const [ask] = run.tell({ _tag: "Unanswered", peer: a!, probe })
    expect(ask).toMatchObject({ _tag: "AskHelpers", helpers: [b] })
    run.tell({ _tag: "Helped", peer: a!, probe, reachedBy: [b!], missedBy: [] })
  }
})

test("doubts itself when no helper answers at all", () => {
  const run = new Run(a!, b!, c!)
  run.fail(a!, 0)
  expect(run.state.awareness).toBe(1)
})

test("an answer restores its confidence", () => {
  const run = new Run(a!, b!, c!)
  run.fail(a!, 0)
  const { probe } = run.ping(b!)
  run.tell({ _tag: "Answered", peer: b!, probe, incarnation: epoch })
  expect(run.state.awareness).toBe(0)
})

test("gives up the connection to one that is silent for long, and to one that is dead", () => {
  const run = new Run(a!, b!, c!)
  const times: Array<number> = []
  while (run.now < 25_000) {
    const { probe } = run.ping(a!)
    const actions = [...run.tell({ _tag: "Unanswered", peer: a!, probe })]
    if (actions.some(({ _tag }) => _tag === "AskHelpers")) {
      actions.push(...run.tell({ _tag: "Helped", peer: a!, probe, reachedBy: [b!], missedBy: [] }))
    }
    if (actions.some(({ _tag }) => _tag === "GiveUp")) times.push(run.now)
  }
  expect(run.stateOf(a!)).toBe("alive")
  expect(times.length).toBeGreaterThanOrEqual(1)
  expect(times[0]).toBeGreaterThanOrEqual(defaultMembershipOptions.giveUp)
  const dying = new Run(a!, b!, c!)
  makeDead(dying, a!, b!)
  expect(dying.ticked).toContainEqual({ _tag: "GiveUp", peer: a })
})

test("keeps the connection to one that answers now and then", () => {
  const run = new Run(a!, b!, c!)
  for (let n = 0; n < 40; n++) {
    const { probe } = run.ping(a!)
    const asked = run.tell(
      n % 5 === 4
        ? { _tag: "Answered", peer: a!, probe, incarnation: epoch }
        : { _tag: "Unanswered", peer: a!, probe }
    )
    expect(asked.some(({ _tag }) => _tag === "GiveUp")).toBe(false)
    if (n % 5 === 4) continue
    const told = run.tell({ _tag: "Helped", peer: a!, probe, reachedBy: [b!], missedBy: [] })
    expect(told).toEqual([])
    // It doubts itself for what others reached; here that is not what is looked at.
    run.state = { ...run.state, awareness: 0 }
  }
})

test("goes on looking at whom it accused when others have become its observers", () => {
  const others = Array.from({ length: 40 }, (_, n) =>
    PeerKey.make(`12D3KooWMany${"ABCDEFGHJK"[Math.floor(n / 10)]}${"ABCDEFGHJK"[n % 10]}xxxxxxx`)
  )
  const run = new Run(...others.slice(0, 12))
  const subject = run.state.ring.subjectsOf(self!)[0]!
  run.fail(subject)
  expect(run.stateOf(subject)).toBe("suspect")
  run.tell({
    _tag: "RecordsChanged",
    records: others.map((peer) => ({ peer, epoch, left: false, name: NodeName.make("host") })),
    gone: []
  })
  expect(run.state.ring.subjectsOf(self!)).not.toContain(subject)
  expect(run.ping(subject).accused).toBe(epoch)
})

test("accuses again every two seconds while it lasts, each time as a new message", () => {
  const run = new Run(a!, b!, c!)
  const times: Array<number> = []
  const repeats = new Set<number>()
  while (run.now < 9_000) {
    for (const statement of said(run.fail(a!))) {
      times.push(run.now)
      repeats.add(statement.repeat)
    }
  }
  expect(times.length).toBeGreaterThanOrEqual(3)
  expect(repeats.size).toBe(times.length)
  for (const [index, time] of times.slice(1).entries()) {
    expect(time - times[index]!).toBeGreaterThanOrEqual(2_000)
  }
})

test("tells a suspect that it is one, and passes its denial on", () => {
  const run = new Run(a!, b!, c!)
  run.fail(a!)
  const { probe, accused } = run.ping(a!)
  expect(accused).toBe(epoch)
  const bytes = new Uint8Array([1])
  const statement = { kind: "alive", subject: a!, incarnation: epoch + 1 } as const
  const actions = run.tell({
    _tag: "Answered",
    peer: a!,
    probe,
    incarnation: epoch + 1,
    denial: { statement, bytes }
  })
  expect(actions).toEqual([{ _tag: "Say", bytes }])
  expect(run.stateOf(a!)).toBe("alive")
})

test("believes its own ears also without a signed denial, but has nothing to pass on", () => {
  const run = new Run(a!, b!, c!)
  run.fail(a!)
  const { probe } = run.ping(a!)
  expect(
    run.tell({ _tag: "Answered", peer: a!, probe, incarnation: epoch + 1, denial: undefined })
  ).toEqual([])
  expect(run.stateOf(a!)).toBe("alive")
})

test("ignores answers to probes that are over", () => {
  const run = new Run(a!, b!, c!)
  const { probe } = run.ping(a!)
  run.tell({ _tag: "Answered", peer: a!, probe, incarnation: epoch })
  const before = run.state
  run.tell({ _tag: "Unanswered", peer: a!, probe })
  run.tell({ _tag: "Helped", peer: a!, probe, reachedBy: [], missedBy: [b!, c!] })
  expect(run.state).toBe(before)
})

test("denies what is said of it, one incarnation higher, and trusts itself less", () => {
  const run = new Run(a!, b!, c!)
  const statement = { kind: "suspect", subject: self!, incarnation: epoch, by: a! } as const
  const actions = run.tell({ _tag: "Heard", statement, bytes: new Uint8Array() })
  expect(said(actions)).toEqual([{ kind: "alive", incarnation: epoch + 1 }])
  expect(run.state.incarnation).toBe(epoch + 1)
  expect(run.state.awareness).toBe(1)
  // The same again is answered already.
  expect(run.tell({ _tag: "Heard", statement, bytes: new Uint8Array() })).toEqual([])
})

test("answers an accusing ping with its denial, made once for all who ask", () => {
  const run = new Run(a!, b!, c!)
  const answers: Array<PingAnswer> = []
  const ask = () => {
    const reply = (answer: PingAnswer) => answers.push(answer)
    for (const action of run.tell({ _tag: "Accused", by: a!, incarnation: epoch, reply })) {
      if (action._tag === "Reply") action.reply()
    }
  }
  ask()
  ask()
  expect(answers.map(({ incarnation }) => incarnation)).toEqual([epoch + 1, epoch + 1])
  expect(JSON.parse(text(answers[1]!.alive!))).toEqual({ kind: "alive", incarnation: epoch + 1 })
})

/** `by` accuses this node to its face; what the node then tells everybody. */
const face = (run: Run, by: PeerKey, incarnation = run.state.incarnation) =>
  said(run.tell({ _tag: "Accused", by, incarnation, reply: () => {} }))

test("denies at most once a second, whoever accuses and however often", () => {
  const run = new Run(a!, b!, c!)
  let denials = 0
  for (let n = 0; n < 100_000; n++) {
    run.now += 0.1
    denials += face(run, [a!, b!, c!][n % 3]!).length
  }
  expect(denials).toBe(10)
  expect(run.state.incarnation).toBe(epoch + 10)
})

test("what comes too soon after a denial is denied when it is not, if an observer said it", () => {
  const run = new Run(a!, b!, c!)
  const tick = (at: number) => {
    run.now = at
    return said(run.tell({ _tag: "Tick" }))
  }
  expect(face(run, a!)).toHaveLength(1)
  run.now = 100
  expect(face(run, b!)).toEqual([])
  expect(tick(900)).toEqual([])
  expect(tick(1_000)).toEqual([{ kind: "alive", incarnation: epoch + 2 }])
  expect(tick(2_100), "once").toEqual([])
})

test("does not let itself be driven to an incarnation it never said, and asks what that rests on", () => {
  const run = new Run(a!, b!, c!)
  const statement = { kind: "suspect", subject: self!, incarnation: epoch + 1, by: a! } as const
  const hear = () => run.tell({ _tag: "Heard", statement, bytes: new Uint8Array() })
  expect(hear()).toEqual([{ _tag: "PullEvidence", from: a, about: [self] }])
  expect(run.state.incarnation).toBe(epoch)
  expect(hear(), "not again at once").toEqual([])
  expect(face(run, a!, epoch + 1_000_000)).toEqual([])
  run.now += 10_000
  expect(hear()).toEqual([{ _tag: "PullEvidence", from: a, about: [self] }])
})

test("goes on from its own word of an earlier life, and denies above it", () => {
  const run = new Run(a!, b!, c!)
  const bytes = new Uint8Array([7])
  const statement = { kind: "alive", subject: self!, incarnation: epoch + 5 } as const
  run.tell({ _tag: "Heard", statement, bytes })
  expect([run.state.incarnation, run.state.denial]).toEqual([epoch + 5, bytes])
  expect(face(run, a!)).toEqual([{ kind: "alive", incarnation: epoch + 6 }])
})

test("an accusation ahead of what it knows is not believed; it asks for what it missed", () => {
  const run = new Run(a!, b!, c!)
  const statement = { kind: "suspect", subject: a!, incarnation: epoch + 1, by: b! } as const
  const hear = () => run.tell({ _tag: "Heard", statement, bytes: new Uint8Array([1]) })
  expect(hear()).toEqual([{ _tag: "PullEvidence", from: b, about: [a] }])
  expect(run.stateOf(a!)).toBe("alive")
  const denial = { kind: "alive", subject: a!, incarnation: epoch + 1 } as const
  run.tell({ _tag: "Heard", statement: denial, bytes: new Uint8Array([2]) })
  hear()
  expect(run.stateOf(a!)).toBe("suspect")
})

const letters = "ABCDEFGHJKLMNPQRSTUVWXYZ"
const crowd = [...letters].map((letter) => PeerKey.make(`12D3KooWPeerPeerPeer${letter}`))
const strangerTo = (run: Run, peer: PeerKey): PeerKey => {
  const found = crowd.find((one) => one !== peer && !run.state.ring.isNear(one, peer))
  if (found === undefined) throw new Error("everybody is near")
  return found
}

test("asks first those that it has a connection to, and one at least by chance of all", () => {
  const run = new Run(...crowd)
  const { ring } = run.state
  const own = new Set(ring.subjectsOf(self!))
  for (const peer of own) {
    const observers = ring.observersOf(peer).filter((other) => other !== self)
    const near = observers.filter((other) => own.has(other))
    const asked = new Set<PeerKey>()
    for (const chance of [0, 0.2, 0.4, 0.6, 0.8, 0.99]) {
      const helpers = helpersFor(defaultMembershipOptions, run.state, peer, () => chance)
      expect(new Set(helpers).size).toBe(3)
      const nearest = helpers.filter((helper) => own.has(helper)).length
      expect(nearest).toBeGreaterThanOrEqual(Math.min(2, near.length))
      for (const helper of helpers) asked.add(helper)
    }
    expect(observers).toEqual(expect.arrayContaining([...asked]))
    for (const other of observers) if (!own.has(other)) expect(asked).toContain(other)
  }
})

test("in public only those who watch a member accuse it", () => {
  const run = new Run(...crowd)
  const tell = (subject: PeerKey, by: PeerKey) => {
    const statement = { kind: "suspect", subject, incarnation: epoch, by } as const
    return run.tell({ _tag: "Heard", statement, bytes: new Uint8Array([1]) })
  }
  expect(tell(self!, strangerTo(run, self!))).toEqual([])
  const subject = crowd[0]!
  tell(subject, strangerTo(run, subject))
  expect(run.stateOf(subject)).toBe("alive")
  tell(subject, run.state.ring.observersOf(subject)[0]!)
  expect(run.stateOf(subject)).toBe("suspect")
})

test("who does not watch it is answered to its face once in ten seconds", () => {
  const run = new Run(...crowd)
  const stranger = strangerTo(run, self!)
  let denials = 0
  for (; run.now < 60_000; run.now += 100) denials += face(run, stranger).length
  expect(denials).toBe(6)
})

test("owes nobody a denial who does not watch it", () => {
  const run = new Run(...crowd)
  const stranger = strangerTo(run, self!)
  expect(face(run, stranger)).toHaveLength(1)
  expect(face(run, stranger)).toEqual([])
  expect(run.state.denials.owed).toBe(false)
})

test("does not accuse whom it does not watch", () => {
  const run = new Run(...crowd)
  const peer = crowd.find((one) => !run.state.probes.has(one))!
  const [ping] = run.tell({ _tag: "LinkDown", peer })
  const probe = ping?._tag === "Ping" ? ping.probe : 0
  expect(run.tell({ _tag: "Unanswered", peer, probe })).toEqual([])
  expect(run.stateOf(peer)).toBe("alive")
})

test("looks at once at its own subject when another accuses it", () => {
  const run = new Run(a!, b!, c!)
  const statement = { kind: "suspect", subject: a!, incarnation: epoch, by: b! } as const
  const actions = run.tell({ _tag: "Heard", statement, bytes: new Uint8Array() })
  expect(actions).toMatchObject([{ _tag: "Ping", peer: a, accused: epoch }])
})

test("one that denies by gossip and answers no pings is not looked at in a tight loop", () => {
  const run = new Run(a!, b!, c!)
  const bytes = new Uint8Array()
  const hear = (incarnation: number) => {
    run.tell({
      _tag: "Heard",
      statement: { kind: "alive", subject: a!, incarnation },
      bytes
    })
    const statement = { kind: "suspect", subject: a!, incarnation, by: b! } as const
    return run.tell({ _tag: "Heard", statement, bytes })
  }
  const [ping] = hear(epoch + 1)
  expect(ping).toMatchObject({ _tag: "Ping" })
  const probe = ping?._tag === "Ping" ? ping.probe : 0
  run.tell({ _tag: "Unanswered", peer: a!, probe })
  run.tell({ _tag: "Helped", peer: a!, probe, reachedBy: [], missedBy: [b!, c!] })
  expect(hear(epoch + 2)).toEqual([])
  run.now += defaultMembershipOptions.interval / 2
  expect(hear(epoch + 3)).toMatchObject([{ _tag: "Ping" }])
})

/** Seconds between accusations of one that denies each by gossip and answers no ping. */
const refuting = (run: Run, missing: number, until: number) => {
  const times: Array<number> = []
  let incarnation = epoch
  while (run.now < until) {
    for (const _ of said(run.fail(a!, missing))) {
      times.push(run.now)
      incarnation++
      const statement = { kind: "alive", subject: a!, incarnation } as const
      run.tell({ _tag: "Heard", statement, bytes: new Uint8Array() })
    }
  }
  const gaps = times.slice(1).map((at, index) => Math.round((at - times[index]!) / 1_000))
  return { gaps, incarnation }
}

test("while an answer is waited for, its ticks begin before its time is up", () => {
  const run = new Run(a!, b!, c!)
  const options = defaultMembershipOptions
  expect(watchedFrom(run.state, options)).toBe(Number.POSITIVE_INFINITY)
  const { probe } = run.ping(a!)
  const askedAt = run.now
  expect(watchedFrom(run.state, options)).toBe(askedAt + options.timeout - options.tick)
  run.now += options.timeout
  // Helpers are asked now: all ticks are wanted.
  expect(run.tell({ _tag: "Unanswered", peer: a!, probe })).toMatchObject([{ _tag: "AskHelpers" }])
  expect(watchedFrom(run.state, options)).toBeLessThan(run.now)
  run.tell({ _tag: "Helped", peer: a!, probe, reachedBy: [b!], missedBy: [] })
  expect(watchedFrom(run.state, options)).toBe(Number.POSITIVE_INFINITY)
})

test("what is due soon is done in a tick that comes before, but while somebody is suspected", () => {
  const { early } = defaultMembershipOptions
  const peersAt = (before: number, suspected: boolean) => {
    const run = new Run(a!, b!, c!)
    if (suspected) {
      const statement = { kind: "suspect", subject: c!, incarnation: epoch, by: b! } as const
      run.tell({ _tag: "Heard", statement, bytes: new Uint8Array([1]) })
    }
    const due = run.state.probes.get(a!)!.nextAt
    run.now = due - before
    const actions = run.tell({ _tag: "Tick", dueAt: run.now })
    return actions.flatMap((action) => (action._tag === "Ping" ? action.peer : []))
  }
  expect(peersAt(early, false)).toContain(a)
  expect(peersAt(early + 1, false)).not.toContain(a)
  expect(peersAt(early, true)).not.toContain(a)
  expect(peersAt(0, true)).toContain(a)
})

test("one that refutes it and does not answer it is accused again later each time", () => {
  const run = new Run(a!, b!, c!)
  // One of two others does not reach it, and what the other one sees is not to be heard.
  const denied = refuting(run, 1, 600_000)
  const { gaps } = denied
  let { incarnation } = denied
  for (const [index, gap] of gaps.entries()) {
    const least = Math.min(120, 4 * 2 ** index)
    expect(gap).toBeGreaterThanOrEqual(least)
    expect(gap).toBeLessThanOrEqual(least + 2)
  }
  expect(gaps.length).toBe(8)
  // What others have found out it agrees to at once.
  const by = b!
  run.tell({
    _tag: "Heard",
    statement: { kind: "suspect", subject: a!, incarnation, by },
    bytes: new Uint8Array([1])
  })
  expect(said(run.fail(a!))).toMatchObject([{ kind: "suspect", incarnation }])
  // It has answered: the next time is as the first.
  const { probe } = run.ping(a!)
  run.tell({ _tag: "Answered", peer: a!, probe, incarnation: ++incarnation })
  expect(said(run.fail(a!))).toMatchObject([{ kind: "suspect", incarnation }])
})

test("one that nobody who watches it reaches, and that denies, is accused again within half a minute", () => {
  const run = new Run(a!, b!, c!)
  const { gaps } = refuting(run, 2, 300_000)
  const later = gaps.slice(3)
  expect(later.length).toBeGreaterThanOrEqual(7)
  for (const gap of later) {
    expect(gap).toBeGreaterThanOrEqual(32)
    expect(gap).toBeLessThanOrEqual(34)
  }
  // Somebody reaches it: what was said before is nothing any more.
  const { probe } = run.ping(a!)
  run.tell({ _tag: "Unanswered", peer: a!, probe })
  run.tell({ _tag: "Helped", peer: a!, probe, reachedBy: [b!], missedBy: [c!] })
  expect(run.state.probes.get(a!)?.missedBy).toEqual([])
})

test("says nothing when three others have said it", () => {
  const run = new Run(a!, b!, c!, d!, e!)
  const pings = [b!, c!, d!].flatMap((by) => {
    const statement = { kind: "suspect", subject: a!, incarnation: epoch, by } as const
    return run.tell({ _tag: "Heard", statement, bytes: new Uint8Array([1]) })
  })
  expect(pings).toMatchObject([{ _tag: "Ping", peer: a, probe: 1 }])
  run.tell({ _tag: "Unanswered", peer: a!, probe: 1 })
  expect(
    run.tell({ _tag: "Helped", peer: a!, probe: 1, reachedBy: [], missedBy: [b!, c!] })
  ).toEqual([])
})

test("looks at once at a member whose link broke, and at a suspect whose link came up", () => {
  const run = new Run(a!, b!, c!)
  expect(run.tell({ _tag: "LinkDown", peer: a! })).toMatchObject([{ _tag: "Ping", peer: a }])
  expect(run.tell({ _tag: "LinkDown", peer: a! }), "one is under way").toEqual([])
  expect(run.tell({ _tag: "LinkUp", peer: b! }), "nothing is held against it").toEqual([])
  run.fail(b!)
  expect(run.tell({ _tag: "LinkUp", peer: b! })).toMatchObject([
    { _tag: "Ping", peer: b, accused: epoch }
  ])
})

test("time that it slept is not held against those it suspects, but against itself", () => {
  const run = new Run(a!, b!, c!)
  run.fail(a!)
  run.now += 60_000
  run.tell({ _tag: "Tick" })
  expect(run.stateOf(a!)).toBe("suspect")
  expect(run.state.awareness).toBe(8)
})

test("keeps trying somebody dead, now and then", () => {
  const run = new Run(a!, b!, c!)
  makeDead(run, a!, b!)
  expect(run.ping(a!).accused).toBe(epoch)
})

test("of several dead ones tries the next at once when one of them answers", () => {
  const run = new Run(a!, b!, c!, d!)
  makeDead(run, a!, c!)
  makeDead(run, b!, c!)
  const first = run.nextDead()
  run.tell({ _tag: "Answered", peer: first.peer, probe: first.probe, incarnation: epoch + 1 })
  const answeredAt = run.now
  expect(run.nextDead().peer).not.toBe(first.peer)
  expect(run.now - answeredAt).toBeLessThanOrEqual(defaultMembershipOptions.tick)
})

test("asks for evidence when it first meets members, and another soon if that one is silent", () => {
  const run = new Run(a!, b!)
  expect(run.actions).toMatchObject([{ _tag: "PullEvidence" }])
  run.tell({ _tag: "NoEvidence", about: [] })
  run.now = defaultMembershipOptions.interval
  expect(run.tell({ _tag: "Tick" })).toContainEqual({
    _tag: "PullEvidence",
    from: expect.any(String),
    about: []
  })
})

test("while it suspects somebody for longer than gossip takes, it asks what others know", () => {
  const run = new Run(a!, b!, c!, d!)
  run.now = 5_000
  run.tell({ _tag: "Tick" })
  const statement = { kind: "suspect", subject: a!, incarnation: epoch, by: b! } as const
  run.tell({ _tag: "Heard", statement, bytes: new Uint8Array([1]) })
  const asked: Array<number> = []
  for (; run.now < 12_000; run.now += defaultMembershipOptions.tick) {
    const actions = run.tell({ _tag: "Tick" })
    for (const action of actions) {
      if (action._tag !== "PullEvidence") continue
      expect(action.from).not.toBe(a)
      expect(action.about).toEqual([a])
      asked.push(run.now)
    }
  }
  expect(asked, "half of the least time that a suspicion lasts").toEqual([7_000, 9_000, 11_000])
  const denial = { kind: "alive", subject: a!, incarnation: epoch + 1 } as const
  run.tell({ _tag: "Heard", statement: denial, bytes: new Uint8Array([2]) })
  run.now = 13_000
  expect(run.tell({ _tag: "Tick" })).not.toContainEqual(
    expect.objectContaining({ _tag: "PullEvidence" })
  )
})

test("asks another one soon about whom it suspects where the first does not answer", () => {
  const run = new Run(a!, b!, c!, d!)
  run.now = 5_000
  run.tell({ _tag: "Tick" })
  const statement = { kind: "suspect", subject: a!, incarnation: epoch, by: b! } as const
  run.tell({ _tag: "Heard", statement, bytes: new Uint8Array([1]) })
  const asked: Array<number> = []
  for (; run.now < 9_000; run.now += defaultMembershipOptions.tick) {
    for (const action of run.tell({ _tag: "Tick" })) {
      if (action._tag !== "PullEvidence") continue
      asked.push(run.now)
      run.tell({ _tag: "NoEvidence", about: action.about })
    }
  }
  expect(asked).toEqual([7_000, 8_000])
})

test("names no more than an answer has room for, and others each time", () => {
  const many = Array.from({ length: 200 }, (_, n) => {
    const [first, second] = [Math.floor(n / 20), n % 20].map((at) => letters[at])
    return PeerKey.make(`12D3KooWMany${first}${second}xxxxxxx`)
  })
  const run = new Run(...many)
  const { ring } = run.state
  for (const subject of many.slice(0, 150)) {
    const by = ring.observersOf(subject).find((peer) => peer !== self)
    const said = { kind: "suspect", subject, incarnation: epoch, by: by! } as const
    run.tell({ _tag: "Heard", statement: said, bytes: new Uint8Array([1]) })
  }
  run.now = minTimeout(defaultSuspicion, ring.size) / 2
  const [asked] = run.tell({ _tag: "Tick" }).filter(({ _tag }) => _tag === "PullEvidence")
  const about = asked?._tag === "PullEvidence" ? asked.about : []
  expect([about.length, new Set(about).size]).toEqual([64, 64])
})

test("tells everybody of a denial for which it had to ask, where it clears a suspect", () => {
  const run = new Run(a!, b!, c!)
  const bytes = new TextEncoder().encode(JSON.stringify({ kind: "alive" }))
  const alive = { kind: "alive", subject: a!, incarnation: epoch + 1 } as const
  const one = { statement: alive, bytes }
  const hear = (asked: boolean) =>
    run.tell(asked ? { _tag: "Evidence", said: [one] } : { _tag: "Heard", ...one })
  run.fail(a!)
  const suspecting = run.state
  expect(said(hear(true))).toEqual([{ kind: "alive" }])
  expect(hear(true), "once").toEqual([])
  run.state = suspecting
  expect(hear(false), "gossip does it itself").toEqual([])
})

test("takes evidence in one step, and each statement as what came before it in the same has it", () => {
  const run = new Run(a!, b!, c!, d!)
  const bytes = new Uint8Array([1])
  const denial = { kind: "alive", subject: a!, incarnation: epoch + 1 } as const
  const accusation = { kind: "suspect", subject: a!, incarnation: epoch + 1 } as const
  const actions = run.tell({
    _tag: "Evidence",
    said: [
      { statement: denial, bytes },
      { statement: { ...accusation, by: b! }, bytes },
      { statement: { ...accusation, by: c! }, bytes },
      // Ahead of what is known: here no news, and nobody is asked what it rests on.
      { statement: { ...accusation, incarnation: epoch + 2, by: d! }, bytes }
    ]
  })
  expect(actions).toMatchObject([{ _tag: "Ping", peer: a, accused: epoch + 1 }])
  const member = memberOf(run.state, a!)
  expect([member?.state, member?.suspicion?.accusers.size]).toEqual(["suspect", 2])
  const before = run.state
  run.tell({ _tag: "Evidence", said: [{ statement: denial, bytes }] })
  expect(run.state.members).toBe(before.members)
})

test("with one other member, nobody is there to ask", () => {
  const run = new Run(a!)
  expect(said(run.fail(a!))).toMatchObject([{ kind: "suspect", subject: a }])
})

test("after a crash of the actor keeps its beliefs and probes anew", () => {
  const run = new Run(a!, b!, c!)
  run.fail(a!)
  run.ping(b!)
  run.state = recoverMembership(run.state)[0]
  expect(run.stateOf(a!)).toBe("suspect")
  run.ping(b!)
})

test("probes no more those whom it watches no longer", () => {
  const run = new Run(a!, b!)
  run.tell({
    _tag: "Records",
    records: [{ peer: b!, epoch, left: false, name: NodeName.make("host") }]
  })
  expect(Array.from(run.state.probes.keys())).toEqual([b])
})

test("does not ping in an interval in which the subject has pinged it", () => {
  const run = new Run(a!, b!)
  const pings = (): number => {
    let count = 0
    for (let n = 0; n < 50; n++) {
      run.now += defaultMembershipOptions.tick
      // Just before its turn comes.
      if (n % 4 === 3) run.tell({ _tag: "Pinged", peer: a! })
      for (const action of run.tell({ _tag: "Tick" })) {
        if (action._tag !== "Ping") continue
        if (action.peer === a) count++
        const { peer, probe } = action
        run.tell({ _tag: "Answered", peer, probe, incarnation: epoch })
      }
    }
    return count
  }
  // Ten seconds: it would be ten, and is two because of who asks and does not answer.
  expect(pings()).toBeLessThanOrEqual(3)
  expect(pings()).toBeGreaterThan(0)
})

test("is not put off when there is something against the subject, or nobody watches it", () => {
  const run = new Run(a!, b!, c!)
  run.fail(a!)
  const before = run.state
  run.tell({ _tag: "Pinged", peer: a! })
  expect(run.state.probes).toBe(before.probes)
  run.tell({ _tag: "Pinged", peer: e! })
  expect(run.state.probes).toBe(before.probes)
})

test("accuses nobody while it is late itself, and then whoever is still silent", () => {
  const run = new Run(a!, b!, c!)
  const tick = () => {
    for (const action of run.tell({ _tag: "Tick" })) {
      if (action._tag !== "Ping") continue
      const { peer, probe } = action
      run.tell({ _tag: "Answered", peer, probe, incarnation: epoch })
    }
  }
  tick()
  run.now += 3_000
  tick()
  run.fail(a!)
  expect(run.stateOf(a!)).toBe("alive")
  for (let n = 0; n < 40 && run.stateOf(a!) === "alive"; n++) run.fail(a!)
  expect(run.stateOf(a!)).toBe("suspect")
  expect(run.now).toBeGreaterThanOrEqual(3_000 + 2 * 2_800)
})

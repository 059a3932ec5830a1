/** An answer that waits for news, but no longer than whoever asks may be left without one. */
export interface HeldAnswerOptions {
  /** Milliseconds that it is held back at most. */
  readonly hold: number
  /** Returns how to call it off. */
  readonly after: (millis: number, then: () => void) => () => void
  /** Calls back when there is news. Returns how to stop: of questions that are over nothing stays. */
  readonly wait: (then: () => void) => () => void
  /** Answers with the news. */
  readonly news: () => void
  /** Answers that there is none. */
  readonly none: () => void
}

export const holdAnswer = ({ after, hold, news, none, wait }: HeldAnswerOptions): void => {
  let isOver = false
  let stopWaiting: () => void = nothing
  const once = (then: () => void) => (): void => {
    if (isOver) return
    isOver = true
    stop()
    stopWaiting()
    then()
  }
  const stop = after(hold, once(none))
  stopWaiting = wait(once(news))
}

const nothing = (): void => undefined

import type { DialedLink } from "./DialedLink.ts"

/**
 * Knows whether a link has room for one more exchange without counting them at every call: as many
 * calls as had room when it last counted fit, whatever has become of them since.
 */
export class LinkRoom {
  readonly link: DialedLink
  /** So many more fit for certain. */
  #certain = 0

  constructor(link: DialedLink) {
    this.link = link
  }

  /** Takes the place of one exchange. False: there is none. */
  take(): boolean {
    if (this.#certain === 0) {
      const { session } = this.link
      this.#certain = Math.max(0, session.limits.exchanges - this.link.stats().exchanges)
      if (this.#certain === 0) return false
    }
    this.#certain--
    return true
  }
}

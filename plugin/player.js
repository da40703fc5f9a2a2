// What FiftyOne 1.22 lets nothing in Python do: show a frame of the open video, other fields in it,
// and its first frame as it is now; save what is drawn there.
(function () {
  "use strict";
  const { Operator, OperatorConfig, executeOperator, registerOperator } = window.__foo__;
  const PLUGIN = "@hs2s/vos";
  const TAB = "#modal [data-cy=panel-tab-fo-sample-modal-plugin]";
  const CANVAS = "#modal [data-cy=sample-canvas]";
  const EDITOR = "#modal [data-cy=segmentation-mode]"; // a button of the Annotate tab
  const CONTENT = "#modal [data-cy=modal-content]"; // what an open video shows, but the buttons above
  const EXPLORE = "#modal [data-cy=explore]";
  const ANNOTATE = "#modal [data-cy=annotate]";
  const RULER = "#modal [class*=_ruler_]"; // of the timeline below a video
  const CLOCK = '#modal button[aria-label^="Showing"]'; // beside it: "0:01.41 / 0:03.00"
  const STORED = /\/dataset\/[^/]+\/sample\/[^/]+$/; // where the Annotate tab saves
  const SAVING = 1500; // milliseconds
  const PAUSE = 100; // milliseconds
  const TRIES = 200;
  const SETTLED = 5; // looks at a player that is there
  const LOOKS = 20; // after a frame is shown: for two seconds
  let covered = null; // a player that is gone since a panel lies over its video
  let held = null; // the player that was shown a frame last
  let latest = 0; // of the orders from outside, which are numbered
  let touched = -1; // when somebody did something in the Annotate tab
  let saved = -1; // when the App began to save it last
  let pressing = false; // the timeline, which nobody touches
  let pointer = 1; // the id of the mouse, which browsers number differently

  for (const kind of ["pointerdown", "pointerup", "keyup"]) {
    const note = ({ target, pointerId }) => {
      pointer = pointerId ?? pointer;
      const inside = !pressing && (kind === "keyup" || target.closest?.(CONTENT));
      if (inside && document.querySelector(EDITOR)) touched = performance.now();
    };
    document.addEventListener(kind, note, true);
  }
  const enter = ({ target }) => {
    const clock = document.querySelector(CLOCK);
    const share = clock && shareOf(clock.textContent);
    if (share && target.closest?.(ANNOTATE) && !document.querySelector(EDITOR)) {
      seekInAnnotate(share, clock.textContent);
    }
  };
  document.addEventListener("click", enter, true);
  new PerformanceObserver((list) => {
    const stored = list.getEntries().filter(({ name }) => STORED.test(name));
    saved = Math.max(saved, ...stored.map(({ startTime }) => startTime));
  }).observe({ type: "resource" });

  class ShowFrame extends Operator {
    get config() {
      return new OperatorConfig({ name: "show_frame", label: "Show a frame", unlisted: true });
    }

    async execute({ state, params }) {
      const { tries = 0, looks = 0, frame_number: wanted, opening, share } = params;
      if (share !== undefined && !opening && !looks && document.querySelector(EDITOR)) {
        await seekInAnnotate(share);
        return;
      }
      const order = params.order || ++latest;
      const player = await state.snapshot.getPromise(window.__fos__.modalLooker);
      const tab = document.querySelector(TAB);
      const hidden = tab && !document.querySelector(CANVAS);
      if (order !== latest || (hidden && looks) || isOther(player, opening)) return;
      if (hidden) {
        covered = player;
        tab.click();
      }
      const again = (more) => {
        // Executed anew, because this state does not know a later player.
        const next = { ...params, ...more, order };
        setTimeout(() => executeOperator(`${PLUGIN}/show_frame`, next), PAUSE);
      };
      const there = opening ? player && player.seekToFrame && ready(player) : ready(player);
      if (!there && tries < TRIES) {
        again({ tries: tries + 1 });
      } else if (player && player.seekToFrame) {
        // The App's clock may start later than its player, and brings it back to the first frame.
        const back = looks <= LOOKS && player.state.frameNumber === 1;
        const other = player !== held;
        held = player;
        if (!looks || other || back) player.seekToFrame(wanted);
        // A video that is being opened may get another player yet.
        if (looks < LOOKS || (opening && tries < TRIES)) {
          again({ tries: tries + 1, looks: other ? 1 : looks + 1 });
        }
      } else if (window.__fopb__) {
        // A group of images, played in order.
        window.__fopb__.dispatchTimelineSetFrameNumberEvent({ newFrameNumber: wanted });
      }
    }
  }

  // FiftyOne's own "Set active fields" changes the sidebar beside the grid, never an open video's.
  class ShowFields extends Operator {
    get config() {
      return new OperatorConfig({ name: "show_fields", label: "Show fields", unlisted: true });
    }

    async execute({ state, params }) {
      const { fields, tries = 0, leaving = false } = params;
      const editing = Boolean(document.querySelector(EDITOR));
      if ((leaving || editing) && tries < TRIES) {
        // The Annotate tab, when it is left, brings back the fields from before it was opened.
        const next = { ...params, tries: tries + 1, leaving: editing };
        setTimeout(() => executeOperator(`${PLUGIN}/show_fields`, next), PAUSE);
        return;
      }
      for (const modal of [false, true]) {
        state.set(window.__fos__.activeFields({ modal }), fields);
      }
    }
  }

  // The App keeps what it once read of a video's first frame, also when the video is opened again.
  class RenewFirstFrame extends Operator {
    get config() {
      const label = "Renew the first frame";
      return new OperatorConfig({ name: "renew_first_frame", label, unlisted: true });
    }

    async execute({ state, params }) {
      const { opening, dataset, view, tries = 0, looks = 0 } = params;
      const player = await state.snapshot.getPromise(window.__fos__.modalLooker);
      const editing = document.querySelector(EDITOR);
      if (isOther(player, opening) || tries > TRIES) return;
      const there = !editing && player && player.firstFrame && ready(player);
      if (!there || looks < SETTLED) {
        // Other fields are shown meanwhile, which would bring the old labels back.
        const next = { ...params, tries: tries + 1, looks: there ? looks + 1 : 0 };
        setTimeout(() => executeOperator(`${PLUGIN}/renew_first_frame`, next), PAUSE);
        return;
      }
      const first = player.firstFrameNumber || 1; // a clip's is another
      const range = { frameNumber: first, frameCount: first, numFrames: 1 };
      const asked = { sampleId: opening, dataset, view, ...range };
      const { frames } = await window.__fou__.getFetchFunction()("POST", "/frames", asked);
      player.updateSample({ ...player.sample, frames });
    }
  }

  // The Annotate tab saves every three seconds, and when it is left. What it still has to save when
  // labels change under it is lost.
  class SaveDrawn extends Operator {
    get config() {
      return new OperatorConfig({ name: "save_drawn", label: "Save what is drawn", unlisted: true });
    }

    async execute({ params }) {
      const leave = document.querySelector(EDITOR) && document.querySelector(EXPLORE);
      if (leave && touched > saved) {
        leave.click();
        // What somebody did may have changed nothing.
        for (let waited = 0; touched > saved && waited < SAVING; waited += PAUSE) {
          await pause();
        }
      }
      executeOperator(params.operator, params.params);
    }
  }

  // The Annotate tab has another player, which begins at the first frame and takes no orders. Its
  // timeline takes clicks, once it is there, until its clock is as ``wanted``, or goes at all.
  // Nobody is moved who is at work.
  async function seekInAnnotate(share, wanted = null) {
    const begun = performance.now();
    let before = null;
    let settled = 0;
    for (let tries = 0; tries < TRIES && settled < SETTLED; tries += 1) {
      await pause();
      const clock = document.querySelector(EDITOR) && document.querySelector(CLOCK);
      if (touched > begun || (!clock && before !== null)) return;
      if (!clock) continue;
      const now = clock.textContent;
      before = before ?? now;
      const there = wanted === null ? now !== before : now === wanted;
      settled = there ? settled + 1 : 0;
      if (!there && tries % SETTLED === 0) press(document.querySelector(RULER), share);
    }
  }

  // How far on its timeline a video is, by its clock: "0:01.41 / 0:03.00", or "18 / 36" for frames.
  function shareOf(clock) {
    const seconds = (text) => text.split(":").reduce((sum, part) => 60 * sum + Number(part), 0);
    const [at, end] = clock.split("/").map(seconds);
    // A time is cut off after hundredths.
    return (clock.includes(":") ? at && at + 0.005 : at - 1) / end;
  }

  function press(ruler, share) {
    if (!ruler) return;
    const { left, top, width, height } = ruler.getBoundingClientRect();
    const at = { bubbles: true, clientX: left + share * width, clientY: top + height / 2 };
    pressing = true;
    for (const [kind, buttons] of [["pointerdown", 1], ["pointerup", 0]]) {
      const how = { ...at, buttons, pointerId: pointer, isPrimary: true };
      ruler.dispatchEvent(new PointerEvent(kind, how));
    }
    pressing = false;
  }

  function pause() {
    return new Promise((resume) => setTimeout(resume, PAUSE));
  }

  // Whether somebody opened another video meanwhile than the one of this id.
  function isOther(player, opening) {
    const shown = player && player.state && player.state.config && player.state.config.sampleId;
    return Boolean(opening && shown && shown !== opening);
  }

  function ready(player) {
    if (!player || !player.seekToFrame) return !covered;
    return player !== covered && player.state.loaded && !player.state.buffering;
  }

  registerOperator(ShowFrame, PLUGIN);
  registerOperator(ShowFields, PLUGIN);
  registerOperator(RenewFirstFrame, PLUGIN);
  registerOperator(SaveDrawn, PLUGIN);
})();

// The one thing that FiftyOne 1.22 lets no Python panel do: show a frame of the open video.
(function () {
  "use strict";
  const { Operator, OperatorConfig, executeOperator, registerOperator } = window.__foo__;
  const PLUGIN = "@hs2s/vos";
  const TAB = "#modal [data-cy=panel-tab-fo-sample-modal-plugin]";
  const CANVAS = "#modal [data-cy=sample-canvas]";
  const PAUSE = 100; // milliseconds
  const TRIES = 200;
  const LOOKS = 20; // after a frame is shown: for two seconds
  let covered = null; // a player that is gone since a panel lies over its video
  let latest = 0; // of the orders from outside, which are numbered

  class ShowFrame extends Operator {
    get config() {
      return new OperatorConfig({ name: "show_frame", label: "Show a frame", unlisted: true });
    }

    // In the Annotate tab another player is open, which takes no orders: nothing happens there.
    async execute({ state, params }) {
      const { tries = 0, looks = 0, frame_number: wanted } = params;
      const order = params.order || ++latest;
      const player = await state.snapshot.getPromise(window.__fos__.modalLooker);
      const tab = document.querySelector(TAB);
      const hidden = tab && !document.querySelector(CANVAS);
      if (order !== latest || (hidden && looks)) return;
      if (hidden) {
        covered = player;
        tab.click();
      }
      const again = (more) => {
        // Executed anew, because this state does not know a later player.
        const next = { ...params, ...more, order };
        setTimeout(() => executeOperator(`${PLUGIN}/show_frame`, next), PAUSE);
      };
      if (!ready(player) && tries < TRIES) {
        again({ tries: tries + 1 });
      } else if (player && player.seekToFrame) {
        // The App's clock may start later than its player, and brings it back to the first frame.
        if (!looks || player.state.frameNumber === 1) player.seekToFrame(wanted);
        if (looks < LOOKS) again({ looks: looks + 1 });
      } else if (window.__fopb__) {
        // A group of images, played in order.
        window.__fopb__.dispatchTimelineSetFrameNumberEvent({ newFrameNumber: wanted });
      }
    }
  }

  function ready(player) {
    if (!player || !player.seekToFrame) return !covered;
    return player !== covered && player.state.loaded && !player.state.buffering;
  }

  registerOperator(ShowFrame, PLUGIN);
})();

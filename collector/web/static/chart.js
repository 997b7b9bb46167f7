// Charts to zoom and hover in, by Bokeh's own scripts, from the JSON API. Only on the page that asks.
"use strict";

(() => {
  const place = document.getElementById("charts");
  const words = place.dataset;
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const { Plotting, HoverTool } = Bokeh;
  const Models = Bokeh.Models ?? Bokeh;

  function figure(title, x_range) {
    const made = Plotting.figure({
      title,
      height: 260,
      sizing_mode: "stretch_width",
      x_axis_type: "datetime",
      tools: "xpan,xwheel_zoom,box_zoom,reset",
      active_scroll: "xwheel_zoom",
      ...(x_range ? { x_range } : {}),
      background_fill_color: colour("--surface"),
      border_fill_color: colour("--surface"),
      outline_line_color: colour("--rule"),
    });
    made.title.text_color = colour("--ink");
    for (const axis of [...made.xaxis, ...made.yaxis]) {
      axis.major_label_text_color = colour("--soft");
      axis.axis_line_color = colour("--rule");
    }
    for (const grid of [...made.xgrid, ...made.ygrid]) grid.grid_line_color = colour("--rule");
    made.toolbar.logo = null;
    for (const axis of made.xaxis) {
      axis.formatter = new Models.DatetimeTickFormatter({
        hours: "%H:%M", days: "%d/%m", months: "%m/%Y",
      });
    }
    return made;
  }

  function add(onto, source, field, label, tone, dash) {
    const line = onto.line({ field: "time" }, { field }, {
      source,
      line_width: 2,
      line_color: colour(tone),
      line_dash: dash,
      legend_label: label,
    });
    onto.scatter({ field: "time" }, { field }, { source, size: 5, color: colour(tone) });
    onto.add_tools(new HoverTool({
      renderers: [line],
      mode: "vline",
      tooltips: [[label, `@${field}{0,0.00}`], ["", "@time{%d/%m/%Y %H:%M}"]],
      formatters: { "@time": "datetime" },
    }));
  }

  async function show() {
    const answer = await fetch(place.dataset.source);
    if (!answer.ok) throw new Error(answer.statusText);
    const { buckets } = await answer.json();
    // Bokeh knows no time zones: local times are given as if they were UTC.
    const local = (iso) => Date.parse(iso) + 7 * 3600 * 1000;
    const scaled = (name, factor) => buckets.map((one) => one[name] === null ? NaN : one[name] * factor);
    const source = new Bokeh.ColumnDataSource({
      data: {
        time: buckets.map((one) => local(one.start)),
        down: scaled("download_mean_bps", 1e-6),
        up: scaled("upload_mean_bps", 1e-6),
        latency: scaled("rtt_mean_ms", 1),
        loaded: scaled("rtt_loaded_download_p50_mean_ms", 1),
        loss: scaled("loss_ratio", 100),
      },
    });
    const speed = figure("Mbit/s");
    add(speed, source, "down", words.down, "--line-a", "solid");
    add(speed, source, "up", words.up, "--line-b", "dashed");
    const latency = figure("ms", speed.x_range);
    add(latency, source, "latency", words.latency, "--line-a", "solid");
    add(latency, source, "loaded", words.loaded, "--line-b", "dashed");
    const loss = figure("%", speed.x_range);
    add(loss, source, "loss", words.loss, "--line-a", "solid");
    for (const made of [speed, latency, loss]) {
      made.legend.background_fill_color = colour("--surface");
      made.legend.label_text_color = colour("--ink");
      made.legend.location = "top_right";
      made.legend.orientation = "horizontal";
      made.legend.background_fill_alpha = 0.6;
    }
    await Plotting.show(new Models.Column({ children: [speed, latency, loss], sizing_mode: "stretch_width" }), place);
    place.dataset.ready = "true";
  }

  show().catch((error) => {
    place.textContent = `${words.failed} ${error.message}`;
  });
})();

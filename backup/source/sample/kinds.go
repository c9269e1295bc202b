package sample

import (
	"math/rand/v2"
	"strconv"
	"time"
)

// form is a kind of document: its code in the shared-document numbering, and
// how it is written.
type form struct {
	code, title string
	nurse       bool   // written by a nurse
	file        string // of the tree, into which it goes when the stay is archived; "" stays in the database
	write       func(p *pen, at time.Time) []section
}

// The kinds a ward writes.
var (
	admission   = form{"C0034", "入院记录", false, "入院记录", writeAdmission}
	firstNote   = form{"C0036", "首次病程记录", false, "病程记录", writeFirstNote}
	dailyNote   = form{"C0037", "日常病程记录", false, "病程记录", writeDailyNote}
	roundNote   = form{"C0038", "上级医师查房记录", false, "病程记录", writeRound}
	consult     = form{"C0042", "会诊记录", false, "病程记录", writeConsult}
	consent     = form{"C0060", "手术知情同意书", false, "手术资料", writeConsent}
	operation   = form{"C0046", "手术记录", false, "手术资料", writeOperation}
	afterNote   = form{"C0047", "术后首次病程记录", false, "病程记录", writeAfter}
	nursingNote = form{"C0028", "一般护理记录", true, "", writeNursing}
	labReport   = form{"C0013", "检验报告", false, "", writeLab}
	discharge   = form{"C0049", "出院记录", false, "出院资料", writeDischarge}
	frontPage   = form{"C0032", "住院病案首页", false, "出院资料", writeFrontPage}
	clinicNote  = form{"C0002", "门诊病历", false, "", writeClinic}
	medicine    = form{"C0004", "西药处方", false, "", writeMedicine}
)

// forms lists the kinds, to find one by its title.
func forms() []form {
	return []form{admission, firstNote, dailyNote, roundNote, consult, consent, operation, afterNote,
		nursingNote, labReport, discharge, frontPage, clinicNote, medicine}
}

func writeAdmission(p *pen, at time.Time) []section {
	return []section{
		{title: "主诉", paragraphs: []string{p.intro()}},
		{title: "现病史", paragraphs: []string{p.story(), p.story()}},
		{title: "既往史", paragraphs: []string{p.past()}},
		{title: "体格检查", paragraphs: []string{p.body(at, 12+p.IntN(8))}, measures: []measure{p.measure(at)}},
		{title: "辅助检查", paragraphs: append(p.results(6+p.IntN(6)), p.picture())},
		{title: "初步诊断", paragraphs: []string{p.visit.disease.name + " " + p.visit.disease.icd}},
		{title: "诊疗计划", paragraphs: []string{p.planned(4 + p.IntN(4))}},
	}
}

func (p *pen) past() string {
	p.put("既往有", pick(p.Rand, diseases).name, "病史", strconv.Itoa(1+p.IntN(25)), "年,长期服用", pick(p.Rand, drugs), "。")
	if p.who.allergy != "" {
		p.put("对", p.who.allergy, "过敏。")
	} else {
		p.put("否认药物食物过敏史。")
	}
	p.put(pick(p.Rand, []string{"吸烟", "饮酒", "不吸烟不饮酒,否认", "务农,无疫水接触史,家族中"}), strconv.Itoa(1+p.IntN(40)), "年,", pick(p.Rand, diseases).name, "家族史待查。")
	return p.say()
}

func writeFirstNote(p *pen, at time.Time) []section {
	p.put("根据症状、体征及", pick(p.Rand, images), "结果,考虑", p.visit.disease.name, "。需与", pick(p.Rand, diseases).name, "、", pick(p.Rand, diseases).name, "相鉴别:")
	p.some(qualities, 3, ",")
	p.put("。")
	reason := p.say()
	return []section{
		{title: "病例特点", paragraphs: []string{p.intro(), p.story(), p.body(at, 8)}},
		{title: "诊断依据及鉴别诊断", paragraphs: []string{reason}},
		{title: "诊疗计划", paragraphs: []string{p.planned(5), p.orders(3 + p.IntN(4))}},
	}
}

func writeDailyNote(p *pen, at time.Time) []section {
	return []section{
		{title: at.In(zone).Format("2006-01-02 15:04"), paragraphs: []string{p.symptomsToday(), p.body(at, 5+p.IntN(6))}, measures: []measure{p.measure(at)}},
		{title: "检查回报", paragraphs: p.results(2 + p.IntN(6))},
		{title: "处理", paragraphs: []string{p.planned(2 + p.IntN(4)), p.orders(1 + p.IntN(4))}},
	}
}

func writeRound(p *pen, at time.Time) []section {
	p.put("主任医师查房:听取汇报并查看患者后指出,患者", p.visit.disease.name, "诊断", pick(p.Rand, []string{"明确", "成立", "尚需完善依据", "基本明确"}), ",目前")
	p.some(qualities, 2, ",")
	p.put(",治疗上同意目前方案,注意")
	p.some(plans, 4+p.IntN(3), ",")
	p.put("。")
	words := p.say()
	return []section{
		{title: "查房意见", paragraphs: []string{p.symptomsToday(), words, p.picture()}},
		{title: "医嘱调整", paragraphs: []string{p.orders(2 + p.IntN(4))}},
	}
}

func writeConsult(p *pen, _ time.Time) []section {
	to := pick(p.Rand, departments).name
	return []section{
		{title: "申请会诊", paragraphs: []string{"请" + to + "会诊", p.intro(), p.story()}},
		{title: "会诊意见", paragraphs: append(p.results(4), p.planned(3+p.IntN(3)), p.picture())},
	}
}

func writeConsent(p *pen, _ time.Time) []section {
	p.put("拟行", p.surgery(), "。可能发生的情况:")
	p.some(risks, 8+p.IntN(6), ";")
	p.put("。患者及家属已知晓上述风险,同意手术,签字:", p.who.name, "。")
	return []section{{title: "告知内容", paragraphs: []string{p.intro(), p.say()}}}
}

var risks = []string{
	"麻醉意外", "术中大出血", "损伤邻近脏器", "术后感染", "切口愈合不良", "深静脉血栓形成", "肺栓塞", "心脑血管意外", "术后复发", "吻合口瘘", "神经损伤致感觉运动障碍", "内固定松动断裂",
	"需二次手术", "术中改变手术方式", "病理结果与术前诊断不符", "药物过敏", "输血反应", "肝肾功能损害", "术后粘连", "疗效不满意", "医疗费用增加", "多脏器功能衰竭",
}

func (p *pen) surgery() string {
	if s := p.visit.disease.surgery; s != "" {
		return s
	}
	return "清创缝合术"
}

func writeOperation(p *pen, at time.Time) []section {
	p.put("麻醉成功后,取", pick(p.Rand, []string{"平卧位", "左侧卧位", "截石位", "俯卧位"}), ",常规消毒铺巾。")
	for range 5 + p.IntN(5) {
		p.put(pick(p.Rand, steps), ",")
	}
	p.put("术中出血约", strconv.Itoa(5*(1+p.IntN(80))), "ml,输液", strconv.Itoa(100*(5+p.IntN(20))), "ml,尿量", strconv.Itoa(50*(1+p.IntN(16))), "ml。清点器械纱布无误,安返病房。")
	words := p.say()
	return []section{
		{title: "手术名称", paragraphs: []string{p.surgery()}},
		{title: "手术经过", paragraphs: []string{words}, measures: []measure{p.measure(at), p.measure(at.Add(time.Hour))}},
		{title: "术后医嘱", paragraphs: []string{p.orders(4)}},
	}
}

var steps = []string{
	"逐层切开皮肤及皮下组织", "建立气腹压力维持12mmHg", "置入腹腔镜探查", "见局部充血水肿", "周围轻度粘连", "钝性加锐性分离", "电凝止血", "可吸收线连续缝合", "生理盐水反复冲洗", "放置引流管一根", "标本送病理检查",
	"充分暴露术野", "C臂透视见位置良好", "置入假体并复位", "检查活动度满意", "游离血管并结扎", "切除病变组织", "探查邻近脏器未见异常", "双极电凝处理创面", "逐层关闭切口",
}

func writeAfter(p *pen, at time.Time) []section {
	return []section{
		{title: "手术情况", paragraphs: []string{"今日行" + p.surgery() + ",过程顺利。", p.body(at, 6)}, measures: []measure{p.measure(at)}},
		{title: "注意事项", paragraphs: []string{p.planned(5), p.orders(4)}},
	}
}

func writeNursing(p *pen, at time.Time) []section {
	n := 4 + p.IntN(4)
	measures := make([]measure, 0, n)
	for i := range n {
		measures = append(measures, p.measure(at.Add(-time.Duration(n-i)*4*time.Hour)))
	}
	p.some(nursing, 5+p.IntN(5), ",")
	p.put(strconv.Itoa(10*(1+p.IntN(40))), "ml。")
	return []section{
		{title: "生命体征", measures: measures},
		{title: "护理措施", paragraphs: []string{p.say()}},
	}
}

func writeLab(p *pen, _ time.Time) []section {
	p.put("标本号", strconv.Itoa(100000+p.IntN(900000)), " 送检科室:", departments[p.visit.disease.department].name)
	return []section{{title: "检验结果", paragraphs: append([]string{p.say()}, p.results(12+p.IntN(16))...)}}
}

func writeDischarge(p *pen, at time.Time) []section {
	return []section{
		{title: "入院情况", paragraphs: []string{p.intro(), p.story()}},
		{title: "诊疗经过", paragraphs: append(p.results(5), p.picture(), p.orders(4))},
		{title: "出院情况", paragraphs: []string{p.symptomsToday(), p.body(at, 6)}},
		{title: "出院诊断", paragraphs: []string{p.visit.disease.name + " " + p.visit.disease.icd, pick(p.Rand, diseases).name}},
		{title: "出院医嘱", paragraphs: []string{p.planned(4), p.orders(3 + p.IntN(3))}},
	}
}

func writeFrontPage(p *pen, at time.Time) []section {
	p.put("姓名 ", p.who.name, " 性别 ", p.who.sex, " 出生日期 ", p.who.birth.Format("2006-01-02"), " 身份证号 ", p.who.idNumber, " 住址 ", p.who.address, " 电话 ", p.who.phone)
	who := p.say()
	p.put("总费用 ", strconv.FormatFloat(800+p.Float64()*60000, 'f', 2, 64), " 元,其中药费 ", strconv.FormatFloat(200+p.Float64()*9000, 'f', 2, 64), " 元,住院 ", strconv.Itoa(p.visit.days(at)), " 天")
	return []section{
		{title: "基本信息", paragraphs: []string{who}},
		{title: "诊断", paragraphs: []string{"主要诊断 " + p.visit.disease.name + " " + p.visit.disease.icd, "其他诊断 " + pick(p.Rand, diseases).name}},
		{title: "费用", paragraphs: []string{p.say()}},
	}
}

func writeClinic(p *pen, at time.Time) []section {
	return []section{
		{title: "现病史", paragraphs: []string{p.story()}},
		{title: "体格检查", paragraphs: []string{p.body(at, 4+p.IntN(4))}},
		{title: "诊断及处理", paragraphs: []string{p.visit.disease.name, p.planned(2 + p.IntN(3))}},
	}
}

func writeMedicine(p *pen, _ time.Time) []section {
	return []section{{title: "处方", paragraphs: []string{p.orders(1 + p.IntN(5))}}}
}

// newName is the made-up name of person n; one in thirty has a rare letter, the
// first of them soon.
func newName(r *rand.Rand, n int64) string {
	name := string(pick(r, surnames)) + string(pick(r, given))
	switch {
	case n%30 == 3:
		name += rare[n/30%int64(len(rare))]
	case r.IntN(4) > 0:
		name += string(pick(r, given))
	}
	return name
}
